/* MAX_POOL_2D, int8: the greatest value inside the image.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"

TIN_KERNEL void tin_max_pool_2d(const tin_max_pool_2d_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t y0 = row * p->stride_h - p->pad_top;
        const int32_t y_first = tin_max(y0, 0), y_last = tin_min(y0 + p->kernel_h, p->in_h);
        int32_t x0 = -p->pad_left;
        for (int32_t i = 0; i < p->out_w; i++, x0 += p->stride_w) {
            const int32_t x_first = tin_max(x0, 0), x_last = tin_min(x0 + p->kernel_w, p->in_w);
            for (int32_t c = 0; c < p->channels; c++) {
                int32_t most = INT8_MIN;
                for (int32_t y = y_first; y < y_last; y++) {
                    const int8_t *in = (const int8_t *)tin_row(&p->in, arena, y) + x_first * p->channels + c;
                    for (int32_t x = x_first; x < x_last; x++, in += p->channels) most = tin_max(most, *in);
                }
                *out++ = (int8_t)tin_clamp(most, p->low, p->high);
            }
        }
    }
}
