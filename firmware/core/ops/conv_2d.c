/* CONV_2D, int8: a dot product of weights and window for every output.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_dot.h"
#include "tin_math.h"
#include "tin_ops.h"

/* A row of taps that begins at input column x0: the part inside the image, and padding beside it. */
static int32_t dot_row(const tin_conv_2d_params *p, int32_t acc, const int8_t *w, const int8_t *row, int32_t x0)
{
    const int32_t in_c = p->in_c;
    if (p->dilation_w == 1 && x0 >= 0 && x0 + p->kernel_w <= p->in_w)
        return tin_dot(acc, w, row + x0 * in_c, p->kernel_w * in_c);
    for (int32_t k = 0; k < p->kernel_w; k++, w += in_c) {
        const int32_t x = x0 + k * p->dilation_w;
        acc = x >= 0 && x < p->in_w ? tin_dot(acc, w, row + x * in_c, in_c)
                                    : tin_dot_constant(acc, w, p->pad_value, in_c);
    }
    return acc;
}

/* All taps of one output; the window's first tap lies at input row y0, column x0. */
static int32_t dot_window(const tin_conv_2d_params *p, const uint8_t *arena, int32_t acc, const int8_t *w, int32_t y0,
                          int32_t x0)
{
    const int32_t taps = p->kernel_w * p->in_c;
    for (int32_t k = 0; k < p->kernel_h; k++, w += taps) {
        const int32_t y = y0 + k * p->dilation_h;
        acc = y >= 0 && y < p->in_h ? dot_row(p, acc, w, (const int8_t *)tin_row(&p->in, arena, y), x0)
                                    : tin_dot_constant(acc, w, p->pad_value, taps);
    }
    return acc;
}

TIN_KERNEL void tin_conv_2d(const tin_conv_2d_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const int32_t taps = p->kernel_h * p->kernel_w * p->in_c;
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t y = row / p->row_parts, part = row % p->row_parts;
        const int32_t y0 = y * p->stride_h - p->pad_top;
        int32_t x0 = part * p->out_w * p->stride_w - p->pad_left;
        for (int32_t x = 0; x < p->out_w; x++, x0 += p->stride_w) {
            const int8_t *w = p->weights;
            for (int32_t c = 0; c < p->out_c; c++, w += taps) {
                const int32_t acc = dot_window(p, arena, p->bias[c], w, y0, x0);
                const int32_t value = tin_requantize(acc, p->multiplier[c], p->shift[c]) + p->out_zero;
                *out++ = (int8_t)tin_clamp(value, p->low, p->high);
            }
        }
    }
}
