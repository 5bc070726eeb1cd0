/* LOOKUP: a table of 256 bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"

TIN_KERNEL void tin_lookup(const tin_lookup_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const uint8_t *in = tin_row(&p->in, arena, row);
        uint8_t *out = tin_row_out(&p->out, arena, row);
        for (int32_t i = 0; i < p->row_bytes; i++) out[i] = p->table[in[i]];
    }
}
