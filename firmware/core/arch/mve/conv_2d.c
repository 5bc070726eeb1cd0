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

#define PIXELS TIN_MVE_PIXELS

typedef struct conv_pixel {
    int32_t y, x; /* of the window's first tap in the input */
    int32_t column;
} conv_pixel;

/* Copies `bytes` to `to`; without `from`, writes padding. */
TIN_MVE_INLINE int8_t *copied(int8_t *to, const int8_t *from, int32_t bytes, int32_t padding)
{
    int8_t *const end = to + bytes;
    int8x16_t values = vdupq_n_s8((int8_t)padding);
    for (; bytes > 0; bytes -= 16, to += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)bytes);
        if (from) {
            values = vldrbq_z_s8(from, inside);
            from += 16;
        }
        vstrbq_p_s8(to, values, inside);
    }
    return end;
}

/* One kernel row of a window at input row y and column x. */
static int8_t *copied_row(const tin_conv_2d_mve_params *p, const uint8_t *arena, int32_t y, int32_t x, int8_t *to)
{
    const int32_t in_c = p->in_c;
    if (y < 0 || y >= p->in_h) return copied(to, NULL, p->kernel_w * in_c, p->pad_value);
    const int8_t *row = (const int8_t *)tin_row(&p->in, arena, y);
    if (p->dilation_w > 1) {
        for (int32_t k = 0; k < p->kernel_w; k++, x += p->dilation_w)
            to = copied(to, x >= 0 && x < p->in_w ? row + x * in_c : NULL, in_c, p->pad_value);
        return to;
    }
    const int32_t left = tin_clamp(-x, 0, p->kernel_w), right = tin_clamp(x + p->kernel_w - p->in_w, 0, p->kernel_w);
    const int32_t inside = p->kernel_w - left - right;
    if (left > 0) to = copied(to, NULL, left * in_c, p->pad_value);
    if (inside > 0) to = copied(to, row + (x + left) * in_c, inside * in_c, 0);
    if (right > 0) to = copied(to, NULL, right * in_c, p->pad_value);
    return to;
}

/* A window as neighbours in memory: in the image itself if it is one row of taps, or put together at `to`. */
static const int8_t *window(const tin_conv_2d_mve_params *p, const uint8_t *arena, const conv_pixel *at, int8_t *to)
{
    if (p->direct) return (const int8_t *)tin_row(&p->in, arena, at->y) + at->x * p->in_c;
    int8_t *end = to;
    for (int32_t k = 0, y = at->y; k < p->kernel_h; k++, y += p->dilation_h)
        end = copied_row(p, arena, y, at->x, end);
    return to;
}

/* The windows of a block; the last of the `count` pixels that exist stands in for those that do not. */
static void gather(const tin_conv_2d_mve_params *p, uint8_t *arena, conv_pixel *at, int32_t count,
                   const int8_t *windows[PIXELS])
{
    int8_t *to = (int8_t *)arena + p->scratch;
    for (int32_t i = 0; i < PIXELS; i++, to += p->taps) {
        if (i >= count) {
            windows[i] = windows[i - 1];
            continue;
        }
        windows[i] = window(p, arena, at, to);
        at->x += p->stride_w;
        if (++at->column == p->out_w) {
            at->column = 0;
            at->x = -p->pad_left;
            at->y += p->stride_h;
        }
    }
}

/* All channels of `count` pixels. An odd last channel is computed together with the one before it once more. */
static void channels(const tin_conv_2d_mve_params *p, tin_mve_block *block, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < 4; i++) block->at[i] = (uint32_t)(tin_min(i, count - 1) * p->out_c);
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
        conv_pixel at = { row * p->stride_h - p->pad_top, -p->pad_left, 0 };
        for (int32_t left = rows * p->out_w; left > 0; left -= PIXELS, out += PIXELS * p->out_c) {
            const int32_t count = tin_min(left, PIXELS);
            gather(p, arena, &at, count, block.x);
            channels(p, &block, out, count);
        }
        row += rows;
    }
}
