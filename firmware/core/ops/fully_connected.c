/* FULLY_CONNECTED, int8: a dot product for every output.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_dot.h"
#include "tin_math.h"
#include "tin_ops.h"

TIN_KERNEL void tin_fully_connected(const tin_fully_connected_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const int8_t *x = (const int8_t *)tin_row(&p->in, arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int8_t *w = p->weights;
        for (int32_t c = 0; c < p->out_c; c++, w += p->in_c) {
            const int32_t scale = p->per_channel ? c : 0;
            const int32_t acc = tin_dot(p->bias[c], w, x, p->in_c);
            const int32_t y = tin_requantize(acc, p->multiplier[scale], p->shift[scale]) + p->out_zero;
            *out++ = (int8_t)tin_clamp(y, p->low, p->high);
        }
    }
}
