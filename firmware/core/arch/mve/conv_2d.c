/* CONV_2D, int8, for cores with integer vectors: three pixels times pairs of channels (matrix.S).
 *
 * Output pixels are taken as they lie in memory, across rows. A block's windows are all read, or copied to scratch,
 * before any later block is; a block's outputs are only written where its own inputs are no longer needed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>

#include "tin_math.h"
#include "tin_mve.h"
#include "tin_mve_matrix.h"
#include "tin_ops.h"

#define MVE_PIXELS TIN_MVE_PIXELS

typedef struct mve_pixel {
    int32_t y, x; /* of the window's first tap in the input */
    int32_t column;
} mve_pixel;

static int8_t *mve_filled(int8_t *to, int32_t bytes, int8_t value)
{
    for (int32_t i = 0; i < bytes; i += 16) vstrbq_p_s8(to + i, vdupq_n_s8(value), vctp8q((uint32_t)(bytes - i)));
    return to + bytes;
}

/* One kernel row of a window at input row y and column x. */
static int8_t *mve_copied_row(const tin_conv_2d_mve_params *p, const uint8_t *arena, int32_t y, int32_t x, int8_t *to)
{
    const int32_t in_c = p->in_c;
    if (y < 0 || y >= p->in_h) return mve_filled(to, p->kernel_w * in_c, p->pad_value);
    const int8_t *row = (const int8_t *)tin_row(&p->in, arena, y);
    if (p->dilation_w > 1) {
        for (int32_t k = 0; k < p->kernel_w; k++, x += p->dilation_w)
            to = x >= 0 && x < p->in_w ? tin_mve_copy(to, row + x * in_c, in_c) : mve_filled(to, in_c, p->pad_value);
        return to;
    }
    const int32_t left = tin_clamp(-x, 0, p->kernel_w), right = tin_clamp(x + p->kernel_w - p->in_w, 0, p->kernel_w);
    const int32_t inside = p->kernel_w - left - right;
    to = mve_filled(to, left * in_c, p->pad_value);
    if (inside > 0) to = tin_mve_copy(to, row + (x + left) * in_c, inside * in_c);
    return mve_filled(to, right * in_c, p->pad_value);
}

/* A window as neighbours in memory: in the image itself if it is one row of taps, or put together at `to`. */
static const int8_t *mve_window(const tin_conv_2d_mve_params *p, const uint8_t *arena, const mve_pixel *at, int8_t *to)
{
    if (p->direct) return (const int8_t *)tin_row(&p->in, arena, at->y) + at->x * p->in_c;
    int8_t *end = to;
    if (p->dilation_w == 1 && p->in.count >= p->in_h && at->x >= 0 && at->x + p->kernel_w <= p->in_w && at->y >= 0 &&
        at->y + (p->kernel_h - 1) * p->dilation_h < p->in_h) {
        const int32_t bytes = p->kernel_w * p->in_c, step = p->dilation_h * p->in.stride;
        const int8_t *from = (const int8_t *)tin_row(&p->in, arena, at->y) + at->x * p->in_c;
        for (int32_t k = p->kernel_h; k > 0; k--, from += step) end = tin_mve_copy(end, from, bytes);
        return to;
    }
    for (int32_t k = 0, y = at->y; k < p->kernel_h; k++, y += p->dilation_h)
        end = mve_copied_row(p, arena, y, at->x, end);
    return to;
}

/* The windows of a block; the last of the `count` pixels that exist stands in for those that do not. */
static void mve_gather(const tin_conv_2d_mve_params *p, uint8_t *arena, mve_pixel *at, int32_t count,
                   const int8_t *windows[MVE_PIXELS])
{
    int8_t *to = (int8_t *)tin_room(arena, p->scratch);
    for (int32_t i = 0; i < MVE_PIXELS; i++, to += p->taps) {
        if (i >= count) {
            windows[i] = windows[i - 1];
            continue;
        }
        windows[i] = mve_window(p, arena, at, to);
        at->x += p->stride_w;
        if (++at->column == p->out_w) {
            at->column = 0;
            at->x = -p->pad_left;
            at->y += p->stride_h;
        }
    }
}

/* Where the outputs of a block of `count` pixels lie. */
static void mve_place(tin_mve_block *block, int32_t count, int32_t out_c)
{
    for (int32_t i = 0; i < 4; i++) block->at[i] = (uint32_t)(tin_min(i, count - 1) * out_c);
}

/* All channels of a block. An odd last channel is computed together with the one before it once more. */
static void mve_channels(const tin_conv_2d_mve_params *p, tin_mve_block *block, int8_t *out)
{
    block->weights = p->weights;
    block->scales = p->scales;
    block->out = out;
    block->end = out + (p->out_c & ~1);
    for (;;) {
        if (p->relu)
            tin_mve_matrix_relu(block);
        else
            tin_mve_matrix(block);
        if (block->end == out + p->out_c) return;
        block->weights += (p->out_c - 2) * p->taps;
        block->scales += p->out_c / 2 * TIN_MVE_PAIR;
        block->out = out + p->out_c - 2;
        block->end = out + p->out_c;
    }
}

TIN_KERNEL void tin_conv_2d_mve(const tin_conv_2d_mve_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const int whole = end <= p->out.count && p->out.stride == p->out_w * p->out_c;
    tin_mve_block block = { .zero = p->out_zero, .bytes = p->taps };
    block.advance = 2 * p->taps - ((p->taps + 15) & ~15);
    for (int32_t i = 0; i < 4; i++) {
        block.low[i] = p->low;
        block.high[i] = p->high;
    }
    while (row < end) {
        const int32_t rows = whole ? end - row : 1;
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        mve_pixel at = { row * p->stride_h - p->pad_top, -p->pad_left, 0 };
        mve_place(&block, MVE_PIXELS, p->out_c);
        for (int32_t left = rows * p->out_w; left > 0; left -= MVE_PIXELS, out += MVE_PIXELS * p->out_c) {
            const int32_t count = tin_min(left, MVE_PIXELS);
            mve_gather(p, arena, &at, count, block.x);
            if (count < MVE_PIXELS) mve_place(&block, count, p->out_c);
            mve_channels(p, &block, out);
        }
        row += rows;
    }
}
