/* MEAN over all rows of an image, int8, one input row after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"
#include "tin_sums.h"

static inline void mean_rows(const tin_mean_rows_params *p, uint8_t *arena, int32_t row, int32_t end, int32_t wide)
{
    uint8_t *sums = arena + p->state;
    for (; row < end; row++) {
        const int8_t *in = (const int8_t *)tin_row(&p->in, arena, row);
        tin_add_pixels(sums, wide, row == 0, in, p->pixels, p->inner);
        if (row + 1 < p->in_h) continue;
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, 0);
        for (int32_t i = 0; i < p->inner; i++) {
            const int32_t sum = tin_sum(sums, wide, i) + p->offset;
            const int32_t y = tin_requantize(sum, p->multiplier, p->shift) + p->out_zero;
            *out++ = (int8_t)tin_clamp(y, INT8_MIN, INT8_MAX);
        }
    }
}

TIN_KERNEL void tin_mean_rows(const tin_mean_rows_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    if (TIN_MEAN_ROWS_WIDE && (p->wide || !TIN_MEAN_ROWS_NARROW))
        mean_rows(p, arena, row, end, 1);
    else
        mean_rows(p, arena, row, end, 0);
}
