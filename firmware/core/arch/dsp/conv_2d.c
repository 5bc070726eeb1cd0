/* CONV_2D, int8, for cores with the DSP extension: blocks of two to four pixels, pairs of channels (blocks.S).
 *
 * Here output pixels are taken as they lie in memory, across rows; tin_dsp_lines.h stays within a row. A block's
 * windows are all read before it is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tin_dsp_lines.h"
#include "tin_dsp_pairs.h"
#include "tin_dsp_taps.h"
#include "tin_ops.h"

#define CONV_LINEAR TIN_CONV_2D_DSP_LINEAR
#define CONV_WINDOWS TIN_CONV_2D_DSP_WINDOWS
#define CONV_LINES (TIN_CONV_2D_DSP_LINES || TIN_CONV_2D_DSP_SLIDING)

typedef struct conv_pixel {
    int32_t y, x; /* of the window's first tap in the input */
    int32_t column;
} conv_pixel;

/* Copies `count` stretches of bytes. Not inlined: it needs the registers for itself. */
static TIN_DSP_OUTLINE void conv_copy(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                                      int32_t bytes, int32_t count)
{
    for (; count > 0; count--, to += to_step, from += from_step) {
        int32_t i = 0;
        for (; i + 4 <= bytes; i += 4) memcpy(to + i, from + i, 4);
        for (; i < bytes; i++) to[i] = from[i];
    }
}

/* Narrows [*first, *last) to the taps that lie at 0 .. size - 1, if tap 0 lies at `at` and others `apart` behind. */
static void conv_inside(int32_t at, int32_t apart, int32_t size, int32_t *first, int32_t *last)
{
    while (*first < *last && at + *first * apart < 0) ++*first;
    while (*last > *first && at + (*last - 1) * apart >= size) --*last;
}

/* Puts `rows` rows of taps together, from row y and column x on, part of which lie beyond the image. */
static TIN_DSP_OUTLINE void conv_make(const tin_conv_2d_dsp_params *p, const uint8_t *arena, int8_t *to, int32_t rows,
                                      int32_t y, int32_t x)
{
    const int32_t in_c = p->in_c, run = p->kernel_w * in_c, apart = p->dilation_w * in_c;
    int32_t first = 0, last = p->kernel_w, top = 0, end = rows;
    tin_dsp_fill(to, p->pad_value, rows * run);
    conv_inside(x, p->dilation_w, p->in_w, &first, &last);
    conv_inside(y, p->dilation_h, p->in_h, &top, &end);
    if (first == last) return;
    const int32_t column = x * in_c + first * apart, width = (last - first) * in_c;
    const int32_t together = p->dilation_w == 1 && y + (end - 1) * p->dilation_h < p->in.count ? end - top : 1;
    for (to += top * run + first * in_c; top < end; top += together, to += run) {
        const int8_t *from = (const int8_t *)tin_row(&p->in, arena, y + top * p->dilation_h) + column;
        if (p->dilation_w == 1)
            conv_copy(to, run, from, p->dilation_h * p->in.stride, width, together);
        else
            conv_copy(to, in_c, from, apart, in_c, last - first);
    }
}

/* Where `rows` rows of taps of pixel i lie, from row y and column x on: in the image, or put together in scratch. */
static void conv_place(const tin_conv_2d_dsp_params *p, uint8_t *arena, tin_dsp_windows *w, int32_t i, int32_t y,
                       int32_t x)
{
    const int32_t run = p->kernel_w * p->in_c, down = p->dilation_h, bottom = y + (w->rows - 1) * down;
    if (p->dilation_w == 1 && x >= 0 && x + p->kernel_w <= p->in_w && y >= 0 && bottom < p->in_h) {
        w->from[i] = (const int8_t *)tin_row(&p->in, arena, y) + x * p->in_c;
        w->step[i] = down * p->in.stride - run;
        return;
    }
    int8_t *made = (int8_t *)tin_room(arena, p->scratch) + TIN_DSP_PIXELS * 4 * p->words + i * w->rows * run;
    w->from[i] = made;
    w->step[i] = 0;
    conv_make(p, arena, made, w->rows, y, x);
}

/* One call's state from block to block. */
typedef struct conv_state {
    tin_dsp_block block;
    tin_dsp_windows windows;
    conv_pixel at; /* the block's first pixel */
    int32_t size, count;
} conv_state;

/* A block of neighbours in a row whose windows lie in the image as a whole. */
static int conv_place_inside(const tin_conv_2d_dsp_params *p, const uint8_t *arena, conv_state *s)
{
    tin_dsp_windows *w = &s->windows;
    const conv_pixel at = s->at;
    const int32_t across = s->size * p->stride_w, last = at.x + across - p->stride_w + p->kernel_w;
    if (s->count < s->size || at.column + s->size > p->out_w || at.x < 0 || last > p->in_w || p->dilation_w != 1)
        return 0;
    const int8_t *from = lines_image(p, arena, at.y, (p->kernel_h - 1) * p->dilation_h);
    if (!from) return 0;
    from += at.x * p->in_c;
    w->rows = p->kernel_h;
    for (int32_t i = 0; i < TIN_DSP_PIXELS; i++, from += p->stride_w * p->in_c) {
        if (i < s->size) w->from[i] = from;
        w->step[i] = p->dilation_h * p->in.stride - p->kernel_w * p->in_c;
    }
    s->at.x += across;
    s->at.column += s->size;
    return 1;
}

static TIN_DSP_OUTLINE uint32_t *conv_unpack(const conv_state *s, uint32_t *to)
{
    if (TIN_DSP_BLOCK2 && s->size == 2) return tin_dsp_windows2(to, &s->windows);
    if (TIN_DSP_BLOCK3 && s->size == 3) return tin_dsp_windows3(to, &s->windows);
    return tin_dsp_windows4(to, &s->windows);
}

/* Moves on to the next pixel, which may be the first one of the next row. */
static void conv_next(const tin_conv_2d_dsp_params *p, conv_pixel *at)
{
    at->x += p->stride_w;
    if (++at->column < p->out_w) return;
    at->column = 0;
    at->x = -p->pad_left;
    at->y += p->stride_h;
}

/* The windows of a block; the last of the pixels that exist stands in for those that do not. */
static void conv_gather(const tin_conv_2d_dsp_params *p, uint8_t *arena, conv_state *s)
{
    uint32_t *to = (uint32_t *)(void *)tin_room(arena, p->scratch);
    conv_pixel pixels[TIN_DSP_PIXELS];
    if (s->at.column == p->out_w) {
        s->at.column--;
        s->at.x -= p->stride_w;
        conv_next(p, &s->at);
    }
    if (conv_place_inside(p, arena, s)) {
        conv_unpack(s, to);
        return;
    }
    for (int32_t i = 0; i < s->size; i++) {
        pixels[i] = s->at;
        if (i + 1 < s->count || i + 1 == s->size) conv_next(p, &s->at);
    }
    /* Rows of a ring do not always lie one behind the other, and only windows beyond the image have room to be made. */
    s->windows.rows = p->in.count < p->in_h ? 1 : p->rows;
    for (int32_t k = 0; k < p->kernel_h; k += s->windows.rows) {
        for (int32_t i = 0; i < s->size; i++)
            conv_place(p, arena, &s->windows, i, pixels[i].y + k * p->dilation_h, pixels[i].x);
        to = conv_unpack(s, to);
    }
}

/* The same for windows of one pixel that lie one behind the other from `in` on; returns the next block's first. */
static const int8_t *conv_gather_linear(const tin_conv_2d_dsp_params *p, uint32_t *to, conv_state *s, const int8_t *in)
{
    if (s->count == 4 && p->in_c % 4 == 0) {
        tin_dsp_pixels4(to, in, p->in_c);
        return in + 4 * p->in_c;
    }
    for (int32_t i = 0; i < s->size; i++) {
        s->windows.from[i] = in;
        if (i + 1 < s->count) in += p->in_c;
    }
    conv_unpack(s, to);
    return in + p->in_c;
}

/* `left` output pixels that lie one behind the other, the first at the left end of `row`. */
static void conv_pixels(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t left, int32_t linear)
{
    uint32_t *const x = (uint32_t *)(void *)tin_room(arena, p->scratch);
    const int32_t run = p->kernel_w * p->in_c, fast = p->runs[0] * 2 >= p->out_c;
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
    const int8_t *in = linear ? (const int8_t *)tin_row(&p->in, arena, row) : NULL;
    conv_state s = { { x, p->stream, out, 0, 0, out, 0, x, 0 },
                     { { NULL, NULL, NULL, NULL }, { 0, 0, 0, 0 }, p->rows, run & ~3, run & 3 },
                     { row * p->stride_h - p->pad_top, -p->pad_left, 0 }, 0, 0 };
    tin_dsp_loads(&s.block, p->words, TIN_DSP_PIXELS);
    for (; left > 0; left -= s.count, out += s.count * p->out_c) {
        const int32_t size = tin_dsp_size(left);
        if (size != s.size || left < size) {
            s.size = size;
            s.count = tin_dsp_count(size, left);
            tin_dsp_last_load(&s.block, p->words, size);
            tin_dsp_distances(&s.block, size, s.count, p->out_c);
        }
        if (CONV_LINEAR && (linear || !CONV_WINDOWS))
            in = conv_gather_linear(p, x, &s, in);
        else
            conv_gather(p, arena, &s);
        s.block.out = out;
        if (fast || !TIN_CONV_2D_DSP_PLAIN)
            tin_dsp_run(&s.block, size, p->runs[0]);
        else
            tin_dsp_pairs(&s.block, p->runs, p->words, size, s.count, p->out_c, p->out_zero);
        if (TIN_CONV_2D_DSP_LIMITS && (p->low > INT8_MIN || p->high < INT8_MAX))
            tin_dsp_limit(out, s.count * p->out_c, p->low, p->high);
    }
}

TIN_KERNEL void tin_conv_2d_dsp(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    if (CONV_LINES && (p->way >= 2 || !(CONV_LINEAR || CONV_WINDOWS))) {
        lines_run(p, arena, row, end);
        return;
    }
    /* Pixels go on from row to row as far as they lie one behind the other. */
    for (int32_t rows; row < end && (CONV_LINEAR || CONV_WINDOWS); row += rows) {
        rows = tin_min(end - row, p->out.count - row % p->out.count);
        if (p->way == 1) rows = tin_min(rows, p->in.count - row % p->in.count);
        conv_pixels(p, arena, row, rows * p->out_w, p->way == 1);
    }
}
