/* Measures stack use by painting what lies below the stack pointer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "machine.h"
#include "port.h"

#define PAINT 0x5ac3a53cu

static uint32_t *painted_top;

void port_stack_paint(void)
{
    /* The stack pointer of the caller is where the measure begins; this function's own frame lies
     * between the two. */
    uint32_t *const own = machine_stack_pointer();
    painted_top = __builtin_dwarf_cfa();
    for (volatile uint32_t *word = tin_stack_bottom; word < own; word++)
        *word = PAINT;
}

uint32_t port_stack_used(void)
{
    const uint32_t *word = tin_stack_bottom;
    while (word < painted_top && *word == PAINT)
        word++;
    return (uint32_t)((uintptr_t)painted_top - (uintptr_t)word);
}
