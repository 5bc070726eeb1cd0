/* CONV_2D, int8, for cores with the DSP extension: blocks of three or four pixels, pairs of channels (matrix.S).
 *
 * Output pixels are taken as they lie in memory, across rows. A block's windows are all read before it is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tin_dsp_pairs.h"
#include "tin_ops.h"

typedef struct conv_pixel {
    int32_t y, x; /* of the window's first tap in the input */
    int32_t column;
} conv_pixel;

/* A place in scratch behind the words of a block: one row of taps a pixel, and one that holds padding. */
static int8_t *patch(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t index)
{
    const int32_t words = TIN_DSP_PIXELS * 4 * p->words;
    return (int8_t *)arena + p->scratch + words + index * p->kernel_w * p->in_c;
}

/* A row of taps as neighbours in memory: in the image itself, or put together in scratch. */
static const int8_t *taps(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t y, int32_t x, int32_t index)
{
    if (y < 0 || y >= p->in_h) return patch(p, arena, TIN_DSP_PIXELS);
    const int8_t *row = (const int8_t *)tin_row(&p->in, arena, y);
    if (p->dilation_w == 1 && x >= 0 && x + p->kernel_w <= p->in_w) return row + x * p->in_c;
    int8_t *made = patch(p, arena, index);
    for (int32_t k = 0; k < p->kernel_w; k++, x += p->dilation_w) {
        int8_t *to = made + k * p->in_c;
        if (x >= 0 && x < p->in_w)
            memcpy(to, row + x * p->in_c, (size_t)p->in_c);
        else
            memset(to, p->pad_value, (size_t)p->in_c);
    }
    return made;
}

/* Unpacks rows of `bytes` taps of `count` (3 or 4) pixels, in words of two taps; the last one may hold one tap. */
static uint32_t *expand(uint32_t *to, const int8_t *const from[], int32_t count, int32_t bytes)
{
    const int32_t whole = bytes & ~3, rest = bytes & 3;
    if (whole) to = count == 4 ? tin_dsp_expand4(to, from, whole) : tin_dsp_expand3(to, from, whole);
    if (rest == 0) return to;
    const int32_t second = rest == 3 ? 2 : 1;
    for (int32_t i = 0; i < count; i++) {
        const int8_t *tail = from[i] + whole;
        to[i] = (uint32_t)(uint16_t)tail[0] | (rest > 1 ? (uint32_t)tail[second] << 16 : 0u);
        if (rest == 3) to[count + i] = (uint32_t)(uint16_t)tail[1];
    }
    return to + (rest == 3 ? 2 : 1) * count;
}

/* The windows of a block; the last of the `count` pixels that exist stands in for those that do not. */
static void gather(const tin_conv_2d_dsp_params *p, uint8_t *arena, conv_pixel *at, int32_t size, int32_t count)
{
    uint32_t *to = (uint32_t *)(void *)(arena + p->scratch);
    const int8_t *from[TIN_DSP_PIXELS];
    conv_pixel pixels[TIN_DSP_PIXELS];
    for (int32_t i = 0; i < size; i++) {
        pixels[i] = *at;
        if (i + 1 < size && i + 1 >= count) continue;
        at->x += p->stride_w;
        if (++at->column == p->out_w) {
            at->column = 0;
            at->x = -p->pad_left;
            at->y += p->stride_h;
        }
    }
    for (int32_t k = 0, dy = 0; k < p->kernel_h; k++, dy += p->dilation_h) {
        for (int32_t i = 0; i < size; i++) from[i] = taps(p, arena, pixels[i].y + dy, pixels[i].x, i);
        to = expand(to, from, size, p->kernel_w * p->in_c);
    }
}

/* The same for windows of one pixel that lie one behind the other. */
static const int8_t *gather_linear(const tin_conv_2d_dsp_params *p, uint8_t *arena, const int8_t *in, int32_t size,
                                   int32_t count)
{
    const int8_t *from[TIN_DSP_PIXELS];
    for (int32_t i = 0; i < size; i++) from[i] = in + tin_min(i, count - 1) * p->in_c;
    expand((uint32_t *)(void *)(arena + p->scratch), from, size, p->in_c);
    return in + count * p->in_c;
}

/* Limits other than those of int8. */
static void limit(int8_t *out, int32_t bytes, int32_t low, int32_t high)
{
    for (int32_t i = 0; i < bytes; i++) out[i] = (int8_t)tin_clamp(out[i], low, high);
}

/* `left` output pixels that lie one behind the other, the first at the left end of `row`. */
static void pixels_from(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t left, int linear)
{
    const uint32_t *x = (const uint32_t *)(const void *)(arena + p->scratch);
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
    const int8_t *in = linear ? (const int8_t *)tin_row(&p->in, arena, row) : NULL;
    conv_pixel at = { row * p->stride_h - p->pad_top, -p->pad_left, 0 };
    while (left > 0) {
        const int32_t size = left % 4 == 0 ? 4 : 3, count = tin_min(size, left);
        tin_dsp_block block = { p->weights, p->table, p->first, x, p->steps, x + p->words * size,
                                NULL,       NULL,     0,        0, 0,        0 };
        if (linear)
            in = gather_linear(p, arena, in, size, count);
        else
            gather(p, arena, &at, size, count);
        tin_dsp_pairs(&block, p->runs, size, count, p->out_c, p->out_zero, out);
        if (p->low > INT8_MIN || p->high < INT8_MAX) limit(out, count * p->out_c, p->low, p->high);
        out += count * p->out_c;
        left -= count;
    }
}

TIN_KERNEL void tin_conv_2d_dsp(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const int whole = end <= p->out.count && p->out.stride == p->out_w * p->out_c;
    const int linear = p->linear && end <= p->in.count && p->in.stride == p->in_w * p->in_c;
    if (p->padded) memset(patch(p, arena, TIN_DSP_PIXELS), p->pad_value, (size_t)(p->kernel_w * p->in_c));
    while (row < end) {
        const int32_t rows = whole ? end - row : 1;
        pixels_from(p, arena, row, rows * p->out_w, linear);
        row += rows;
    }
}
