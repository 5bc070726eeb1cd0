/* CONV_2D, int8, for cores with the DSP extension: pixel by pixel, so that there is one window at a time (dense.S).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_dsp_dense.h"
#include "tin_dsp_taps.h"
#include "tin_ops.h"

/* Puts a row of taps together, from column x of an image row on, part of which may lie beyond the image. */
static void lean_run(const tin_conv_2d_dsp_lean_params *p, int8_t *to, const int8_t *row, int32_t x)
{
    const int32_t in_c = p->in_c, apart = p->dilation_w;
    int32_t first = 0, end = p->kernel_w;
    while (first < end && x + first * apart < 0) first++;
    while (end > first && x + (end - 1) * apart >= p->in_w) end--;
    tin_dsp_fill(to, p->pad_value, first * in_c);
    tin_dsp_fill(to + end * in_c, p->pad_value, (p->kernel_w - end) * in_c);
    const int32_t together = apart == 1 ? end - first : 1;
    for (; first < end; first += together)
        tin_dsp_copy(to + first * in_c, row + (x + first * apart) * in_c, together * in_c);
}

/* The taps of the window from row y and column x on: where they lie in the image if together, else put so. */
static const int8_t *lean_window(const tin_conv_2d_dsp_lean_params *p, uint8_t *arena, int32_t y, int32_t x)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t inside = y >= 0 && y < p->in_h && x >= 0 && x + p->kernel_w <= p->in_w;
    if (p->kernel_h == 1 && inside && (p->dilation_w == 1 || p->kernel_w == 1))
        return (const int8_t *)tin_row(&p->in, arena, y) + x * p->in_c;
    int8_t *const made = (int8_t *)tin_room(arena, p->scratch);
    for (int32_t k = 0; k < p->kernel_h; k++, y += p->dilation_h) {
        int8_t *to = made + k * run;
        if (y >= 0 && y < p->in_h)
            lean_run(p, to, (const int8_t *)tin_row(&p->in, arena, y), x);
        else
            tin_dsp_fill(to, p->pad_value, run);
    }
    return made;
}

TIN_KERNEL void tin_conv_2d_dsp_lean(const tin_conv_2d_dsp_lean_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const tin_dsp_dense_layer layer = { p->weights, p->biases, p->scales, p->scale_step,
                                        p->kernel_h * p->kernel_w * p->in_c, p->out_c };
    for (; row < end; row++) {
        int8_t *const out = (int8_t *)tin_row_out(&p->out, arena, row);
        int32_t x = -p->pad_left;
        for (int32_t i = 0; i < p->out_w; i++, x += p->stride_w)
            tin_dsp_dense_row(&layer, lean_window(p, arena, row * p->stride_h - p->pad_top, x), out + i * p->out_c);
        if (p->low > INT8_MIN || p->high < INT8_MAX) tin_dsp_limit(out, p->out_w * p->out_c, p->low, p->high);
    }
}
