/* What DEPTHWISE_CONV_2D for the DSP extension knows on its way over the image, and how it loads lines.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DEPTHWISE_INPUT_H
#define TIN_DEPTHWISE_INPUT_H

#include <string.h>

#include "depthwise_lines.h"
#include "tin_dsp.h"
#include "tin_math.h"
#include "tin_ops.h"

typedef tin_depthwise_conv_2d_dsp_params dw_params;

#define DW_PAIRS TIN_DEPTHWISE_CONV_2D_DSP_PAIRS
#define DW_TRIPLES TIN_DEPTHWISE_CONV_2D_DSP_TRIPLES
#define DW_ROWS TIN_DEPTHWISE_CONV_2D_DSP_ROWS
#define DW_STRIDE2 TIN_DEPTHWISE_CONV_2D_DSP_STRIDE2
#define DW_AWAY TIN_DEPTHWISE_CONV_2D_DSP_AWAY
#define DW_SLOW TIN_DEPTHWISE_CONV_2D_DSP_SLOW
#define DW_WIDE TIN_DEPTHWISE_CONV_2D_DSP_WIDE
#define DW_PIXELWISE TIN_DEPTHWISE_CONV_2D_DSP_PIXELWISE
#define DW_KINDS (DW_AWAY || DW_SLOW || DW_WIDE) /* whether channels may differ */

/* One axis of the image, for the outputs of this call. */
typedef struct dw_axis {
    int32_t outputs, stride;
    int32_t start;      /* input pixel of the first tap of the first output; negative in the padding */
    int32_t begin, end; /* input pixels that exist and are needed */
} dw_axis;

/* Four channels on their way over the image. */
typedef struct dw_walk {
    const dw_params *p;
    uint8_t *arena;
    dw_axis along, across;
    uint32_t *columns;
    uint32_t *begin;            /* the column of along.begin */
    tin_dw_channel *channels;   /* four for singles in the third line; with pairs, four for singles in the first line */
    int32_t pad;                /* four pixels of padding */
    int32_t step, next_line;    /* bytes from pixel to pixel along the line, from line to line */
    int32_t length;             /* bytes along the line from along.begin to along.end */
    int32_t out_step, out_line; /* as `step` and `next_line`, for outputs */
    uint32_t rounds;
    int32_t entry;
    int8_t *out;      /* channel 0 of the four, first line; a step before it if `entry` is odd */
    const int8_t *in; /* the same of the input, at along.end, line 0; only if `whole` */
    uint32_t pairs_end, triples_end; /* from 0 to here lines begin a pair or triple that lies at equal distances */
    const int8_t *ends[3];           /* as `in`, of three lines; those that do not exist are some other */
    uint32_t missing;                /* a bit for each of them that does not exist */
    int whole;           /* a line's pixels lie at equal distances, and words of four channels end within the input */
    int32_t channel;     /* channel 0 of the four */
    int32_t first, last; /* those of the four that are to be computed */
    uint32_t kinds;      /* two bits a channel */
} dw_walk;

static dw_axis dw_axis_of(int32_t first, int32_t outputs, int32_t stride, int32_t pad, int32_t kernel, int32_t size)
{
    dw_axis a = {outputs, stride, first * stride - pad, 0, 0};
    a.begin = tin_max(a.start, 0);
    a.end = tin_max(tin_min(a.start + (outputs - 1) * stride + kernel, size), a.begin);
    return a;
}

/* Words of a column. */
static int32_t dw_column(const dw_walk *w)
{
    return DW_STRIDE2 && w->along.stride == 2 ? TIN_DW_COLUMN_STRIDE : TIN_DW_COLUMN;
}

static int dw_pairs(const dw_walk *w) { return DW_PAIRS && (!DW_TRIPLES || w->p->pairs); }

static int dw_exists(const dw_walk *w, int32_t line) { return line >= w->across.begin && line < w->across.end; }

/* Every `step`th word, an even number of them, becomes padding. */
static TIN_DSP_OUTLINE void dw_fill(uint32_t *to, const uint32_t *end, int32_t step, int32_t pad)
{
    for (; to < end; to += 2 * step) to[0] = to[step] = (uint32_t)pad & 0xff00ff00u;
}

/* Columns of three lines, whose stretches of so many bytes end at a, b and c. */
static void dw_triples(const dw_walk *w, uint32_t *to, const int8_t *a, const int8_t *b, const int8_t *c, int32_t bytes,
                       int32_t step)
{
    if (DW_STRIDE2 && w->along.stride == 2) tin_dw_triples_2(to, a, b, c, -bytes, step);
    else tin_dw_triples(to, a, b, c, -bytes, step);
}

/* Any lines, pixel by pixel: two for a slot of pairs, or three. */
static void dw_load_pixels(const dw_walk *w, int32_t line, int32_t lines, uint32_t *to)
{
    const dw_params *p = w->p;
    for (int32_t i = w->along.begin; i < w->along.end; i++, to += dw_column(w)) {
        int32_t words[3] = {w->pad, w->pad, w->pad};
        const int8_t *ends[3];
        for (int32_t k = 0; k < 3; k++) {
            const int32_t y = p->by_column ? i : line + k, x = p->by_column ? line + k : i;
            ends[k] = (const int8_t *)&words[k] + 4;
            if (k >= lines || !dw_exists(w, line + k)) continue;
            memcpy(&words[k], tin_row(&p->in, w->arena, y) + x * p->in_c + w->channel, (size_t)tin_min(p->in_c, 4));
        }
        if (lines == 2) tin_dw_columns(to, ends[0], ends[1], -4, 4);
        else dw_triples(w, to, ends[0], ends[1], ends[2], 4, 4);
    }
}

/* Loads two lines into a slot of which one or both do not exist, and are padding; or two of single pixels. */
static TIN_DSP_OUTLINE void dw_load_border(const dw_walk *w, int32_t line, uint32_t *slot)
{
    const int8_t *a = (const int8_t *)&w->pad, *b = a;
    const int32_t columns = w->along.end - w->along.begin;
    int32_t a_step = 0, b_step = 0;
    if (DW_PIXELWISE && !w->whole) {
        dw_load_pixels(w, line, 2, slot);
        return;
    }
    if (dw_exists(w, line)) {
        a = w->in + line * w->next_line - w->length;
        a_step = w->step;
    }
    if (dw_exists(w, line + 1)) {
        b = w->in + (line + 1) * w->next_line - w->length;
        b_step = w->step;
    }
    if (a_step != 0 || b_step != 0) {
        if (w->length > 0) tin_dw_border(slot, a, a_step, b, b_step, columns);
        return;
    }
    dw_fill(slot, slot + columns * TIN_DW_COLUMN, 2, w->pad);
}

/* Loads lines `line` and `line + 1` of the image into a slot. */
static void dw_load_pair(const dw_walk *w, int32_t line, uint32_t *slot)
{
    const int8_t *a = w->in + line * w->next_line;
    if ((uint32_t)line < w->pairs_end) tin_dw_columns(slot, a, a + w->next_line, -w->length, w->step);
    else dw_load_border(w, line, slot);
}

static void dw_unpack_triples(const dw_walk *w, const int8_t *a, const int8_t *b, const int8_t *c)
{
    dw_triples(w, w->begin, a, b, c, w->length, w->step);
}

/* Makes line 0, 1 or 2 of triples padding. */
static void dw_blank(const dw_walk *w, int32_t line)
{
    const uint32_t pad = (uint32_t)w->pad & 0xff00ff00u;
    uint16_t *half = (uint16_t *)(void *)w->begin + line;
    uint32_t *word = w->begin;
    for (int32_t i = w->along.end - w->along.begin; i > 0; i--, half += 2 * dw_column(w), word += dw_column(w)) {
        if (line == 2) {
            word[1] = word[4] = pad;
        } else {
            half[0] = half[4] = half[6] = half[10] = (uint16_t)pad;
        }
    }
}

/* Where the three lines from `line` on are. */
static void dw_find_triple(dw_walk *w, int32_t line)
{
    const dw_params *p = w->p;
    const int8_t *some = NULL;
    w->missing = 0;
    for (int32_t k = 2; k >= 0; k--) {
        if (!dw_exists(w, line + k)) {
            w->missing |= 1u << k;
        } else {
            const int8_t *first = (const int8_t *)tin_row(&p->in, w->arena, p->by_column ? 0 : line + k);
            some = first + (p->by_column ? (line + k) * w->next_line : 0) + w->along.end * w->step;
        }
        w->ends[k] = some;
    }
    if (!some || w->length == 0) return;
    for (int32_t k = 1; k < 3; k++)
        if (!w->ends[k]) w->ends[k] = w->ends[k - 1];
}

static void dw_blank_missing(const dw_walk *w)
{
    for (int32_t k = 0; k < 3; k++)
        if (w->missing >> k & 1u) dw_blank(w, k);
}

/* Loads the three lines that were found, of which some may not exist. */
static void dw_load_found(const dw_walk *w, int32_t line)
{
    if (DW_PIXELWISE && !w->whole) {
        dw_load_pixels(w, line, 3, w->begin);
        return;
    }
    if (w->missing != 7 && w->length > 0)
        dw_unpack_triples(w, w->ends[0] + w->channel, w->ends[1] + w->channel, w->ends[2] + w->channel);
    dw_blank_missing(w);
}

static TIN_DSP_OUTLINE void dw_load_any_triple(dw_walk *w, int32_t line)
{
    dw_find_triple(w, line);
    dw_load_found(w, line);
}

static void dw_load_triple(dw_walk *w, int32_t line)
{
    const int8_t *a = w->in + line * w->next_line;
    if (DW_ROWS && w->p->by_row) dw_load_found(w, line);
    else if ((uint32_t)line < w->triples_end) dw_unpack_triples(w, a, a + w->next_line, a + 2 * w->next_line);
    else dw_load_any_triple(w, line);
}

#endif /* TIN_DEPTHWISE_INPUT_H */
