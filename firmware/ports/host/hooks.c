/* Host port: the core as a shared library. A program that loads the library may set tin_node_hook to
 * watch the nodes go by.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "port.h"

volatile int32_t tin_node = -1;
volatile int32_t tin_sample = -1;

extern void (*tin_node_hook)(int index);
void (*tin_node_hook)(int index) = NULL;

void tin_on_node(int index)
{
    tin_node = index;
    if (tin_node_hook != NULL)
        tin_node_hook(index);
}

void tin_assert_failed(const char *condition)
{
    fprintf(stderr, "@tin-fault kind=assert node=%ld text=%s\n", (long)tin_node, condition);
    abort();
}
