/* CONV_2D by lines: blocks of four pixels that lie in one row, so that what they need of the image lies together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DSP_LINES_H
#define TIN_DSP_LINES_H

#include "tin_dsp_pairs.h"
#include "tin_dsp_taps.h"

/* Whether a call's windows share their columns, known beforehand where no other call takes lines. */
#define LINES_SLIDING(p) (TIN_CONV_2D_DSP_SLIDING && (!TIN_CONV_2D_DSP_LINES || (p)->way == 3))

#define LINES_NINE 9 /* taps of a row that tin_dsp_nines4 takes */

typedef struct lines_state {
    tin_dsp_block block;
    tin_dsp_windows windows;
    tin_dsp_columns columns;
    const int8_t *image;   /* the rows of taps that lie in the image, if one behind the other; else NULL */
    uint32_t *to;          /* where they go */
    int32_t rows;
    int32_t before, after; /* bytes of the image in memory in front of them, and behind */
} lines_state;

/* Words of x that a row of taps makes. */
static inline int32_t lines_words(const tin_conv_2d_dsp_params *p)
{
    return p->words / p->kernel_h * (LINES_SLIDING(p) ? 2 : TIN_DSP_PIXELS);
}

/* Rows of taps are `rows`, one every `down` bytes. */
static inline void lines_rows(const tin_conv_2d_dsp_params *p, lines_state *s, int32_t rows, int32_t down)
{
    s->columns.rows = s->windows.rows = rows;
    s->columns.step = down - p->in_c;
    for (int32_t i = 0; i < TIN_DSP_PIXELS; i++) s->windows.step[i] = down - p->kernel_w * p->in_c;
}

/* Unpacks the taps of the block whose first pixel's window begins at `from`. */
static inline uint32_t *lines_unpack(const tin_conv_2d_dsp_params *p, lines_state *s, uint32_t *to, const int8_t *from)
{
    if (LINES_SLIDING(p)) {
        s->columns.from = from;
        return tin_dsp_six_columns(to, &s->columns);
    }
    if (TIN_CONV_2D_DSP_NINES && p->kernel_w * p->in_c == LINES_NINE)
        return tin_dsp_nines4(to, from, p->stride_w * p->in_c, &s->windows);
    for (int32_t i = 0; i < TIN_DSP_PIXELS; i++) s->windows.from[i] = from + i * p->stride_w * p->in_c;
    return tin_dsp_windows4(to, &s->windows);
}

#define LINES_PADDING(p) (0x00010001u * (uint16_t)(p)->pad_value)

/* Of six columns, one is padding. */
static TIN_DSP_OUTLINE void lines_pad_column(const tin_conv_2d_dsp_params *p, uint32_t *to, int32_t rows)
{
    const uint32_t two = LINES_PADDING(p);
    for (int32_t words = rows * p->in_c / 2; words > 0; words -= 2, to += 12) {
        to[0] = two;
        to[6] = two;
    }
}

/* Bytes `first` to `end` - 1 of a pixel's rows of taps are padding. */
static TIN_DSP_OUTLINE void lines_pad_run(const tin_conv_2d_dsp_params *p, uint32_t *to, int32_t rows, int32_t first,
                                          int32_t end)
{
    const int32_t run = p->kernel_w * p->in_c, words = lines_words(p), pair = run % 4 == 2 ? run - 2 : run;
    const uint32_t two = LINES_PADDING(p);
    for (; rows > 0; rows--, to += words)
        for (int32_t i = first; i < end;) {
            if (i % 4 == 0 && i + 4 <= end) {
                to[2 * i] = two;
                to[2 * i + TIN_DSP_PIXELS] = two;
                i += 4;
                continue;
            }
            /* Where one byte went to: see windows.S. */
            const int32_t step = i / 4 * 2 + (i < pair ? i & 1 : 0), lane = i < pair ? i >> 1 & 1 : i & 1;
            memcpy((int8_t *)(to + step * TIN_DSP_PIXELS) + 2 * lane, &two, 2);
            i++;
        }
}

/* What lies beyond the image of a block's taps from column x on. */
static TIN_DSP_OUTLINE void lines_pad(const tin_conv_2d_dsp_params *p, lines_state *s, int32_t x)
{
    if (LINES_SLIDING(p)) {
        for (int32_t k = 0; k < tin_min(-x, TIN_DSP_PIXELS + 2); k++) lines_pad_column(p, s->to + k, s->rows);
        for (int32_t k = tin_max(p->in_w - x, 0); k < TIN_DSP_PIXELS + 2; k++) lines_pad_column(p, s->to + k, s->rows);
        return;
    }
    for (int32_t i = 0; i < TIN_DSP_PIXELS; i++, x += p->stride_w) {
        const int32_t left = tin_min(-x, p->kernel_w), inside = tin_max(p->in_w - x, 0);
        if (left > 0) lines_pad_run(p, s->to + i, s->rows, 0, left * p->in_c);
        if (inside < p->kernel_w) lines_pad_run(p, s->to + i, s->rows, inside * p->in_c, p->kernel_w * p->in_c);
    }
}

/* Rows of taps that lie beyond the image. */
static inline void lines_pad_rows(const tin_conv_2d_dsp_params *p, uint32_t *to, int32_t words)
{
    for (; words > 0; words--) *to++ = LINES_PADDING(p);
}

/* Where `columns` columns of row y lie from column x on: in the image, or, where part of them is beyond, at `made`. */
static TIN_DSP_OUTLINE const int8_t *lines_row(const tin_conv_2d_dsp_params *p, const uint8_t *arena, int8_t *made,
                                               int32_t y, int32_t x, int32_t columns)
{
    const int32_t inside = y >= 0 && y < p->in_h;
    const int32_t first = inside ? tin_min(tin_max(-x, 0), columns) : columns;
    const int32_t end = tin_max(tin_min(columns, p->in_w - x), first);
    const int8_t *image = inside ? (const int8_t *)tin_row(&p->in, arena, y) : made;
    if (first == 0 && end == columns) return image + x * p->in_c;
    tin_dsp_fill(made, p->pad_value, first * p->in_c);
    if (first < end) tin_dsp_copy(made + first * p->in_c, image + (x + first) * p->in_c, (end - first) * p->in_c);
    tin_dsp_fill(made + end * p->in_c, p->pad_value, (columns - end) * p->in_c);
    return made;
}

/* The same row by row: part of the taps lies beyond the image, or the rows do not lie one behind the other. */
static TIN_DSP_OUTLINE void lines_gather(const tin_conv_2d_dsp_params *p, const uint8_t *arena, lines_state *s,
                                         uint32_t *to, int32_t y, int32_t x)
{
    const int32_t columns = (TIN_DSP_PIXELS - 1) * p->stride_w + p->kernel_w;
    int8_t *made = (int8_t *)(to + p->kernel_h * lines_words(p));
    lines_rows(p, s, 1, 0);
    for (int32_t k = 0; k < p->kernel_h; k++, y += p->dilation_h)
        to = lines_unpack(p, s, to, lines_row(p, arena, made, y, x, columns));
    lines_rows(p, s, s->rows, p->dilation_h * p->in.stride);
}

/* The taps of a block from column x on, part of which lie beyond the image. */
static TIN_DSP_OUTLINE void lines_edge(const tin_conv_2d_dsp_params *p, const uint8_t *arena, lines_state *s,
                                       uint32_t *to, int32_t y, int32_t x)
{
    const int32_t columns = (TIN_DSP_PIXELS - 1) * p->stride_w + p->kernel_w, beyond = x + columns - p->in_w;
    if (s->image && -x * p->in_c <= s->before && beyond * p->in_c <= s->after) {
        /* Reads the ends of rows above or below instead of padding, which are as good as any bytes. */
        lines_unpack(p, s, s->to, s->image + x * p->in_c);
        lines_pad(p, s, x);
    } else {
        lines_gather(p, arena, s, to, y, x);
    }
}

/* The rows of taps from row y on to `across` below, if they lie in the image one behind the other; else NULL. */
static inline const int8_t *lines_image(const tin_conv_2d_dsp_params *p, const uint8_t *arena, int32_t y,
                                        int32_t across)
{
    if (y < 0 || y + across >= p->in_h || across < 0) return NULL;
    const uint8_t *first = tin_row(&p->in, arena, y), *last = tin_row(&p->in, arena, y + across);
    return last - first == across * p->in.stride ? (const int8_t *)first : NULL;
}

/* Finds the rows of taps from row y on; those beyond the image are the same for all blocks. */
static TIN_DSP_OUTLINE void lines_start(const tin_conv_2d_dsp_params *p, const uint8_t *arena, lines_state *s,
                                        uint32_t *x, int32_t y)
{
    const int32_t words = lines_words(p), down = p->dilation_h;
    int32_t first = 0, end = p->kernel_h;
    while (first < end && y + first * down < 0) first++;
    while (first < end && y + (end - 1) * down >= p->in_h) end--;
    s->image = lines_image(p, arena, y + first * down, (end - 1 - first) * down);
    s->rows = end - first;
    s->to = x + first * words;
    if (s->image) {
        lines_pad_rows(p, x, first * words);
        lines_pad_rows(p, x + end * words, (p->kernel_h - end) * words);
        s->before = s->image - (const int8_t *)tin_row(&p->in, arena, 0);
        s->after = (p->in.count - 1 - (s->rows - 1) * down) * p->in.stride - s->before;
    }
    lines_rows(p, s, s->rows, down * p->in.stride);
}

/* One row of outputs, of at least four pixels; the last block may lie on a part of the one before. */
static inline void lines_blocks(const tin_conv_2d_dsp_params *p, uint8_t *arena, lines_state *s, uint32_t *x, int32_t y)
{
    /* Windows of blocks from column 0 on to this one lie in the image. */
    const int32_t clear = s->image ? p->in_w - (TIN_DSP_PIXELS - 1) * p->stride_w - p->kernel_w : -1;
    for (int32_t left = p->out_w, at = -p->pad_left, move; left > 0; left -= TIN_DSP_PIXELS, at += move) {
        if (at >= 0 && at <= clear)
            lines_unpack(p, s, s->to, s->image + at * p->in_c);
        else
            lines_edge(p, arena, s, x, y, at);
        s->block.out_end = s->block.out + 2 * p->runs[0];
        if (LINES_SLIDING(p))
            tin_dsp_block4_slide(&s->block);
        else if (!TIN_CONV_2D_DSP_PLAIN || 2 * p->runs[0] >= p->out_c)
            tin_dsp_block4(&s->block);
        else
            tin_dsp_pairs(&s->block, p->runs, p->words, TIN_DSP_PIXELS, TIN_DSP_PIXELS, p->out_c, p->out_zero);
        move = tin_min(left - TIN_DSP_PIXELS, TIN_DSP_PIXELS); /* pixels */
        s->block.out += move * p->out_c;
        move *= p->stride_w;
    }
}

/* Rows of outputs. */
static TIN_DSP_OUTLINE void lines_run(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    uint32_t *const x = (uint32_t *)(void *)tin_room(arena, p->scratch);
    const int32_t run = p->kernel_w * p->in_c;
    lines_state s;
    s.block.stream = p->stream;
    s.block.x = x;
    tin_dsp_distances(&s.block, TIN_DSP_PIXELS, TIN_DSP_PIXELS, p->out_c);
    if (LINES_SLIDING(p))
        tin_dsp_sliding_loads(&s.block, p->words);
    else
        tin_dsp_loads(&s.block, p->words, TIN_DSP_PIXELS);
    s.columns.bytes = p->in_c;
    s.windows.whole = run & ~3;
    s.windows.rest = run & 3;
    for (; row < end; row++) {
        const int32_t y = row * p->stride_h - p->pad_top;
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        s.block.out = out;
        lines_start(p, arena, &s, x, y);
        lines_blocks(p, arena, &s, x, y);
        if (TIN_CONV_2D_DSP_LIMITS && (p->low > INT8_MIN || p->high < INT8_MAX))
            tin_dsp_limit(out, p->out_w * p->out_c, p->low, p->high);
    }
}

#endif /* TIN_DSP_LINES_H */
