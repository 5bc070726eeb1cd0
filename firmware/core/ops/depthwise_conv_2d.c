/* DEPTHWISE_CONV_2D, int8: every channel on its own, with any depth multiplier.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>

#include "tin_math.h"
#include "tin_ops.h"

/* One row of a channel's taps: w and x step from tap to tap. */
static int32_t taps_of_row(int32_t acc, const int8_t *w, int32_t w_step, const int8_t *x, int32_t x_step, int32_t count)
{
    for (; count > 0; count--, w += w_step, x += x_step) acc = tin_add_wrap(acc, *w * *x);
    return acc;
}

/* All taps of one output channel; the window's first tap lies at input row y0, column x0. */
static int32_t taps_of_window(const tin_depthwise_conv_2d_params *p, const uint8_t *arena, int32_t out_c, int32_t in_c,
                              int32_t y0, int32_t x0)
{
    const int32_t w_row = p->kernel_w * p->out_c, x_step = p->dilation_w * p->in_c;
    const int whole = x0 >= 0 && x0 + (p->kernel_w - 1) * p->dilation_w < p->in_w;
    const int8_t *w = p->weights + out_c;
    int32_t acc = p->bias[out_c];
    for (int32_t i = 0; i < p->kernel_h; i++, w += w_row) {
        const int32_t y = y0 + i * p->dilation_h;
        const int inside = y >= 0 && y < p->in_h;
        const int8_t *row = inside ? (const int8_t *)tin_row(&p->in, arena, y) + in_c : NULL;
        if (inside && whole) {
            acc = taps_of_row(acc, w, p->out_c, row + x0 * p->in_c, x_step, p->kernel_w);
            continue;
        }
        for (int32_t j = 0; j < p->kernel_w; j++) {
            const int32_t x = x0 + j * p->dilation_w;
            const int32_t value = inside && x >= 0 && x < p->in_w ? row[x * p->in_c] : p->pad_value;
            acc = tin_add_wrap(acc, w[j * p->out_c] * value);
        }
    }
    return acc;
}

TIN_KERNEL void tin_depthwise_conv_2d(const tin_depthwise_conv_2d_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const int32_t multiplier = p->out_c / p->in_c;
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t y0 = row * p->stride_h - p->pad_top;
        int32_t x0 = -p->pad_left;
        for (int32_t x = 0; x < p->out_w; x++, x0 += p->stride_w) {
            for (int32_t c = 0, in_c = 0, left = multiplier; c < p->out_c; c++) {
                const int32_t acc = taps_of_window(p, arena, c, in_c, y0, x0);
                const int32_t y = tin_requantize(acc, p->multiplier[c], p->shift[c]) + p->out_zero;
                *out++ = (int8_t)tin_clamp(y, p->low, p->high);
                if (--left == 0) {
                    in_c++;
                    left = multiplier;
                }
            }
        }
    }
}
