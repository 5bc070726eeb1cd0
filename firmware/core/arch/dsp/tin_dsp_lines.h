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

typedef struct lines_state {
    tin_dsp_block block;
    tin_dsp_windows windows;
    tin_dsp_columns columns;
} lines_state;

/* Unpacks `rows` rows of taps, `down` bytes apart, of the block whose first pixel's window begins at `from`. */
static inline uint32_t *lines_unpack(const tin_conv_2d_dsp_params *p, lines_state *s, uint32_t *to, const int8_t *from,
                                     int32_t down, int32_t rows)
{
    if (LINES_SLIDING(p)) {
        s->columns.from = from;
        s->columns.step = down - p->in_c;
        s->columns.rows = rows;
        return tin_dsp_six_columns(to, &s->columns);
    }
    s->windows.rows = rows;
    for (int32_t i = 0; i < TIN_DSP_PIXELS; i++, from += p->stride_w * p->in_c) {
        s->windows.from[i] = from;
        s->windows.step[i] = down - p->kernel_w * p->in_c;
    }
    return tin_dsp_windows4(to, &s->windows);
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
    const int32_t per_step = LINES_SLIDING(p) ? 2 : TIN_DSP_PIXELS;
    const int32_t columns = (TIN_DSP_PIXELS - 1) * p->stride_w + p->kernel_w;
    int8_t *made = (int8_t *)(to + p->words * per_step);
    for (int32_t k = 0; k < p->kernel_h; k++, y += p->dilation_h)
        to = lines_unpack(p, s, to, lines_row(p, arena, made, y, x, columns), 0, 1);
}

/* The rows of taps from row y on, if they lie in the image one behind the other; else NULL. */
static inline const int8_t *lines_image(const tin_conv_2d_dsp_params *p, const uint8_t *arena, int32_t y)
{
    const int32_t across = (p->kernel_h - 1) * p->dilation_h;
    if (y < 0 || y + across >= p->in_h) return NULL;
    const uint8_t *first = tin_row(&p->in, arena, y), *last = tin_row(&p->in, arena, y + across);
    return last - first == across * p->in.stride ? (const int8_t *)first : NULL;
}

/* One row of outputs, of at least four pixels; the last block may lie on a part of the one before. */
static void lines_run(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t row)
{
    uint32_t *const x = (uint32_t *)(void *)(arena + p->scratch);
    const int32_t run = p->kernel_w * p->in_c, down = p->dilation_h * p->in.stride;
    const int32_t y = row * p->stride_h - p->pad_top;
    const int32_t columns = (TIN_DSP_PIXELS - 1) * p->stride_w + p->kernel_w;
    const int8_t *image = lines_image(p, arena, y);
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
    lines_state s;
    s.block.x = x;
    tin_dsp_distances(&s.block, TIN_DSP_PIXELS, TIN_DSP_PIXELS, p->out_c);
    tin_dsp_loads(&s.block, p->words, LINES_SLIDING(p) ? 2 : TIN_DSP_PIXELS,
                  LINES_SLIDING(p) ? TIN_DSP_LOAD_SLIDING : TIN_DSP_LOAD);
    s.block.stream = p->stream;
    s.columns.bytes = p->in_c;
    s.windows.whole = run & ~3;
    s.windows.rest = run & 3;
    for (int32_t left = p->out_w; left > 0; left -= TIN_DSP_PIXELS) {
        const int32_t column = p->out_w - tin_max(left, TIN_DSP_PIXELS), at = column * p->stride_w - p->pad_left;
        if (image && at >= 0 && at + columns <= p->in_w)
            lines_unpack(p, &s, x, image + at * p->in_c, down, p->kernel_h);
        else
            lines_gather(p, arena, &s, x, y, at);
        s.block.out = out + column * p->out_c;
        s.block.out_end = s.block.out + 2 * p->runs[0];
        if (LINES_SLIDING(p))
            tin_dsp_block4_slide(&s.block);
        else if (!TIN_CONV_2D_DSP_PLAIN || 2 * p->runs[0] >= p->out_c)
            tin_dsp_block4(&s.block);
        else
            tin_dsp_pairs(&s.block, p->runs, p->words, TIN_DSP_PIXELS, TIN_DSP_PIXELS, p->out_c, p->out_zero);
    }
    if (TIN_CONV_2D_DSP_LIMITS && (p->low > INT8_MIN || p->high < INT8_MAX))
        tin_dsp_limit(out, p->out_w * p->out_c, p->low, p->high);
}

#endif /* TIN_DSP_LINES_H */
