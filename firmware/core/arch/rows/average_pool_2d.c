/* AVERAGE_POOL_2D, int8, of windows as high as the image, one input row after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"
#include "tin_sums.h"

/* The sums of each output pixel lie one behind the other. */
static void pool_row(const tin_average_pool_2d_rows_params *p, uint8_t *arena, int32_t row)
{
    const int32_t pixel_bytes = p->channels * (p->form == TIN_SUMS_WIDE ? 4 : 2);
    const int8_t *in = (const int8_t *)tin_row(&p->in, arena, row);
    uint8_t *sums = tin_room(arena, p->state);
    int32_t x = -p->pad_left;
    for (int32_t i = 0; i < p->out_w; i++, x += p->stride_w, sums += pixel_bytes) {
        const int32_t first = tin_max(x, 0), pixels = tin_min(x + p->kernel_w, p->in_w) - first;
        const int8_t *v = in + first * p->channels;
        if (TIN_AVERAGE_POOL_2D_ROWS_PACKED && p->form == TIN_SUMS_PACKED)
            tin_add_packed(sums, row == 0, v, pixels, p->channels);
        else if (TIN_AVERAGE_POOL_2D_ROWS_PLAIN)
            tin_add_plain(sums, p->form, row == 0, v, pixels, p->channels);
    }
}

/* Means, rounded half away from zero, of what lies inside the image. */
static void pool_means(const tin_average_pool_2d_rows_params *p, uint8_t *arena)
{
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, 0);
    int32_t x = -p->pad_left, at = 0;
    for (int32_t i = 0; i < p->out_w; i++, x += p->stride_w) {
        const int32_t count = p->in_h * (tin_min(x + p->kernel_w, p->in_w) - tin_max(x, 0)), half = count / 2;
        const int32_t excess = p->form == TIN_SUMS_PACKED ? 128 * count : 0;
        for (int32_t c = 0; c < p->channels; c++) {
            const int32_t sum = tin_sum(tin_room(arena, p->state), p->form, at++) - excess;
            *out++ = (int8_t)tin_clamp((sum + (sum > 0 ? half : -half)) / count, p->low, p->high);
        }
    }
}

TIN_KERNEL void tin_average_pool_2d_rows(const tin_average_pool_2d_rows_params *p, uint8_t *arena, int32_t row,
                                         int32_t end)
{
    for (; row < end; row++) {
        pool_row(p, arena, row);
        if (row + 1 == p->in_h) pool_means(p, arena);
    }
}
