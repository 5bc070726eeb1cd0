/* MEAN over neighbouring dimensions, int8: sums that are scaled once, the division in the multiplier.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"

TIN_KERNEL void tin_mean(const tin_mean_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const int8_t *in = (const int8_t *)tin_row(&p->in, arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        for (int32_t i = 0; i < p->inner; i++) {
            int32_t sum = -p->in_zero * p->count;
            for (int32_t k = 0; k < p->count; k++) sum += in[k * p->inner + i];
            const int32_t y = tin_requantize(sum, p->multiplier, p->shift) + p->out_zero;
            *out++ = (int8_t)tin_clamp(y, INT8_MIN, INT8_MAX);
        }
    }
}
