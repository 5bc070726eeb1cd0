/* CONCATENATION, int8: copies runs of all inputs side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tin_ops.h"

TIN_KERNEL void tin_concatenation(const tin_concatenation_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        uint8_t *out = tin_row_out(&p->out, arena, row);
        for (int32_t group = 0; group < p->groups; group++) {
            for (int32_t i = 0; i < p->inputs; i++) {
                const int32_t chunk = p->chunks[i];
                memcpy(out, tin_row(&p->in[i], arena, row) + group * chunk, (size_t)chunk);
                out += chunk;
            }
        }
    }
}
