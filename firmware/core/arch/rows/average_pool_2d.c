/* AVERAGE_POOL_2D, int8, of windows as high as the image, one input row after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"
#include "tin_sums.h"

/* The sums of each output pixel lie one behind the other. */
static inline void pool_row(const tin_average_pool_2d_rows_params *p, uint8_t *arena, int32_t row, int32_t wide)
{
    const int32_t pixel_bytes = p->channels * (wide ? 4 : 2);
    const int8_t *in = (const int8_t *)tin_row(&p->in, arena, row);
    uint8_t *sums = arena + p->state;
    int32_t x = -p->pad_left;
    for (int32_t i = 0; i < p->out_w; i++, x += p->stride_w, sums += pixel_bytes) {
        const int32_t first = tin_max(x, 0), last = tin_min(x + p->kernel_w, p->in_w);
        tin_add_pixels(sums, wide, row == 0, in + first * p->channels, last - first, p->channels);
    }
}

/* Means, rounded half away from zero, of what lies inside the image. */
static inline void pool_end(const tin_average_pool_2d_rows_params *p, uint8_t *arena, int32_t wide)
{
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, 0);
    int32_t x = -p->pad_left, at = 0;
    for (int32_t i = 0; i < p->out_w; i++, x += p->stride_w) {
        const int32_t count = p->in_h * (tin_min(x + p->kernel_w, p->in_w) - tin_max(x, 0));
        for (int32_t c = 0; c < p->channels; c++) {
            int32_t sum = tin_sum(arena + p->state, wide, at++);
            sum += sum > 0 ? count / 2 : -(count / 2);
            *out++ = (int8_t)tin_clamp(sum / count, p->low, p->high);
        }
    }
}

static inline void pool_rows(const tin_average_pool_2d_rows_params *p, uint8_t *arena, int32_t row, int32_t end,
                             int32_t wide)
{
    for (; row < end; row++) {
        pool_row(p, arena, row, wide);
        if (row + 1 == p->in_h) pool_end(p, arena, wide);
    }
}

TIN_KERNEL void tin_average_pool_2d_rows(const tin_average_pool_2d_rows_params *p, uint8_t *arena, int32_t row,
                                         int32_t end)
{
    if (TIN_AVERAGE_POOL_2D_ROWS_WIDE && (p->wide || !TIN_AVERAGE_POOL_2D_ROWS_NARROW))
        pool_rows(p, arena, row, end, 1);
    else
        pool_rows(p, arena, row, end, 0);
}
