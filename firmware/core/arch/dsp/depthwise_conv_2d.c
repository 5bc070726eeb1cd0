/* DEPTHWISE_CONV_2D, int8, windows of up to 3x3 pixels, for cores with the DSP extension.
 *
 * Four channels at a time walk over all rows [row, end): line by line across, pixel by pixel along the line. Lines are
 * image rows or, if `by_column`, image columns. depthwise_lines.h says how lines are unpacked, as pairs or triples.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arm_acle.h>
#include <string.h>

#include "depthwise_lines.h"
#include "tin_dsp.h"
#include "tin_math.h"
#include "tin_ops.h"

typedef tin_depthwise_conv_2d_dsp_params dw_params;

#define DW_PAIRS TIN_DEPTHWISE_CONV_2D_DSP_PAIRS
#define DW_TRIPLES TIN_DEPTHWISE_CONV_2D_DSP_TRIPLES
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

/* -- input -------------------------------------------------------------------------------------- */

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
        else tin_dw_triples(to, ends[0], ends[1], ends[2], -4, 4);
    }
}

/* Loads two lines into a slot of which one or both do not exist, and are padding; or two of single pixels. */
static TIN_DSP_OUTLINE void dw_load_border(const dw_walk *w, int32_t line, uint32_t *slot)
{
    const int8_t *a = (const int8_t *)&w->pad, *b = a;
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
    if (w->length > 0) tin_dw_border(slot, a, a_step, b, b_step, w->along.end - w->along.begin);
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
    if (DW_STRIDE2 && w->along.stride == 2) tin_dw_triples_2(w->begin, a, b, c, -w->length, w->step);
    else tin_dw_triples(w->begin, a, b, c, -w->length, w->step);
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

/* Loads the three lines that were found, of which some may not exist. */
static void dw_load_found(const dw_walk *w, int32_t line)
{
    if (DW_PIXELWISE && !w->whole) {
        dw_load_pixels(w, line, 3, w->begin);
        return;
    }
    if (w->missing != 7 && w->length > 0)
        dw_unpack_triples(w, w->ends[0] + w->channel, w->ends[1] + w->channel, w->ends[2] + w->channel);
    for (int32_t k = 0; w->missing && k < 3; k++)
        if (w->missing >> k & 1u) dw_blank(w, k);
}

static TIN_DSP_OUTLINE void dw_load_any_triple(dw_walk *w, int32_t line)
{
    dw_find_triple(w, line);
    dw_load_found(w, line);
}

static void dw_load_triple(dw_walk *w, int32_t line)
{
    const int8_t *a = w->in + line * w->next_line;
    if (w->p->by_row) dw_load_found(w, line);
    else if ((uint32_t)line < w->triples_end) dw_unpack_triples(w, a, a + w->next_line, a + 2 * w->next_line);
    else dw_load_any_triple(w, line);
}

/* -- outputs ------------------------------------------------------------------------------------ */

/* One line of one channel, whatever its scale, zero point and limits are. */
static void dw_slow_line(const dw_walk *w, const tin_dw_channel *c, int8_t *out, int32_t channel, int32_t slot,
                         int32_t high)
{
    const dw_params *p = w->p;
    const int16x2_t w0 = (int16x2_t)c->pair[0], w1 = (int16x2_t)c->pair[1], w2 = (int16x2_t)c->pair[2];
    const int32_t single_01 = (int32_t)c->single_01, single_2 = (int32_t)c->single_2_rounds, zero = p->out_zero;
    const int32_t least = p->low, most = p->high, column = dw_column(w);
    const int32_t step = w->along.stride * column, half = high ? 16 : 0, shift = p->shift[channel];
    const int32_t multiplier = c->multiplier, bias = c->start, out_step = w->out_step;
    const int32_t left = tin_max(shift, 0), right = tin_max(-shift, 0);
    const uint32_t *pair = c->columns + slot, *single = c->columns + (1 - slot);
    out += w->entry & 1 ? out_step : 0;
    for (int32_t x = w->along.outputs; x > 0; x--, pair += step, single += step, out += out_step) {
        int32_t acc = __smlad((int16x2_t)pair[0], w0, 0);
        acc = __smlad((int16x2_t)pair[column], w1, acc);
        acc = __smlad((int16x2_t)pair[2 * column], w2, acc);
        acc = __smlabb((int32_t)(single[0] >> half), single_01, acc);
        acc = __smlabt((int32_t)(single[column] >> half), single_01, acc);
        acc = __smlabb((int32_t)(single[2 * column] >> half), single_2, acc);
        acc = (int32_t)((uint32_t)tin_add_wrap(acc >> (8 + TIN_DW_UP), bias) << left);
        acc = tin_rounding_shift(tin_doubling_high_mul(acc, multiplier), right) + zero;
        *out = (int8_t)tin_clamp(acc, least, most);
    }
}

#define DW_RUN(name, kind)                                                                                      \
    static void name(const dw_walk *w, const tin_dw_channel *c, int8_t *out, int32_t slot, int32_t high)        \
    {                                                                                                           \
        const int32_t step = w->out_step, entry = w->entry;                                                     \
        if (DW_STRIDE2 && w->along.stride == 2)                                                                 \
            slot ? tin_dw_2_1h##kind(c, out, step, entry) : tin_dw_2_0l##kind(c, out, step, entry);             \
        else if (high)                                                                                          \
            DW_PAIRS && !slot ? tin_dw_1_0h##kind(c, out, step, entry) : tin_dw_1_1h##kind(c, out, step, entry); \
        else                                                                                                    \
            DW_PAIRS && slot ? tin_dw_1_1l##kind(c, out, step, entry) : tin_dw_1_0l##kind(c, out, step, entry); \
    }
DW_RUN(dw_fast_run, )
DW_RUN(dw_away_run, _away)
DW_RUN(dw_wide_run, _wide)

/* One output line of channels [first, last) of the four. `slot` is the pair; the single is the low or high half of the
 * other word. */
static void dw_run(const dw_walk *w, int32_t first, int32_t last, int8_t *out, int32_t slot, int32_t high)
{
    const tin_dw_channel *channels = w->channels + (dw_pairs(w) && high ? 4 : 0);
    if (!DW_KINDS || w->kinds == 0) {
        if (first < last) dw_fast_run(w, channels + first, out + first, slot, high);
        return;
    }
    for (int32_t i = first, kind, previous = -1; i < last; i++, previous = kind) {
        kind = (int32_t)(w->kinds >> 2 * i & 3u);
        if (DW_SLOW && kind == TIN_DW_SLOW) dw_slow_line(w, channels + i, out + i, w->channel + i, slot, high);
        else if (kind == previous) continue;
        else if (DW_AWAY && kind == TIN_DW_AWAY) dw_away_run(w, channels + i, out + i, slot, high);
        else if (DW_WIDE && kind == TIN_DW_WIDE) dw_wide_run(w, channels + i, out + i, slot, high);
        else dw_fast_run(w, channels + i, out + i, slot, high);
    }
}

/* All lines of four channels. A pair of lines is loaded just before the first output that needs it. */
static void dw_walk_pairs(const dw_walk *w)
{
    int8_t *out = w->out;
    int32_t slot = 0, next = w->across.start;
    dw_load_pair(w, next, w->begin);
    for (int32_t left = w->across.outputs; left > 0; left -= 2) {
        next += 2;
        dw_load_pair(w, next, w->begin + (1 - slot));
        dw_run(w, w->first, w->last, out, slot, 0);
        out += w->out_line;
        slot = 1 - slot;
        if (left > 1) dw_run(w, w->first, w->last, out, slot, 1);
        out += w->out_line;
    }
}

static void dw_walk_triples(dw_walk *w)
{
    int8_t *out = w->out;
    int32_t line = w->across.start;
    const int32_t middle = tin_max(w->first, tin_min(w->last, 2));
    for (int32_t left = w->across.outputs; left > 0; left--, line += w->across.stride, out += w->out_line) {
        dw_load_triple(w, line);
        dw_run(w, w->first, middle, out, 0, 0);
        dw_run(w, middle, w->last, out, 1, 1);
    }
}

/* -- channels ----------------------------------------------------------------------------------- */

/* The constants of a channel that is rounded away from zero. */
static void dw_away(const dw_walk *w, tin_dw_channel *c, int32_t channel)
{
    const int32_t right = -w->p->shift[channel];
    tin_dw_beside *beside = (tin_dw_beside *)(void *)(c + TIN_DW_BESIDE);
    beside->bias = (int32_t)((uint32_t)c->start << (8 + TIN_DW_UP));
    c->start = w->p->out_zero * 65536 + 0x8000 + (0x8000 >> right);
    beside->start_negative = c->start - (0x10000 >> right);
}

/* Unpacks the weights of the four channels, and marks the last one of each run. */
static void dw_unpack_channels(const dw_walk *w)
{
    const dw_params *p = w->p;
    const int pairs = dw_pairs(w);
    const int32_t at = w->channel + w->first, count = w->last - w->first;
    tin_dw_channel *channels = w->channels;
    if (pairs) tin_dw_both(channels + w->first, p->weights + 12 * at, p->scales + 2 * at, count, w->rounds);
    else tin_dw_third(channels + w->first, p->weights + 12 * at, p->scales + 2 * at, count, w->rounds);
    if (!DW_KINDS || w->kinds == 0) {
        channels[w->last - 1].single_2_rounds |= 0x10000u;
        if (pairs) channels[w->last + 3].single_2_rounds |= 0x10000u;
        else if (w->first < 2) channels[1].single_2_rounds |= 0x10000u;
        return;
    }
    for (int32_t i = w->first; i < w->last; i++) {
        const uint32_t kind = w->kinds >> 2 * i & 3u;
        const int ends = i + 1 == w->last || (!pairs && i == 1) || (w->kinds >> 2 * (i + 1) & 3u) != kind;
        if (ends) channels[i].single_2_rounds |= 0x10000u;
        if (ends && pairs) channels[i + 4].single_2_rounds |= 0x10000u;
        if (!DW_AWAY || kind != TIN_DW_AWAY) continue;
        dw_away(w, channels + i, w->channel + i);
        if (pairs) dw_away(w, channels + i + 4, w->channel + i);
    }
}

/* What all channels share: their columns, and the padding at both ends of lines. */
static void dw_prepare(dw_walk *w)
{
    const uint32_t pad = (uint32_t)w->pad & 0xff00ff00u;
    const int32_t turns = w->along.outputs - (w->along.stride == 1), column = dw_column(w);
    uint32_t *const end = w->columns + ((w->along.outputs - 1) * w->along.stride + 3) * column;
    w->rounds = tin_dw_rounds(turns);
    w->entry = tin_dw_entry(turns);
    w->begin = w->columns + tin_min((w->along.begin - w->along.start) * column, (int32_t)(end - w->columns));
    w->length = (w->along.end - w->along.begin) * w->step;
    for (uint32_t *to = w->columns; to < w->begin; to++) *to = pad;
    for (uint32_t *to = w->begin + (w->along.end - w->along.begin) * column; to < end; to++) *to = pad;
    for (int32_t i = 0; i < 4; i++) {
        static const uint8_t triples[4] = {0, 3, 1, 4};
        const int pairs = dw_pairs(w);
        w->channels[i].columns = w->columns + (pairs ? 2 * i : triples[i]);
        if (pairs) w->channels[i + 4].columns = w->channels[i].columns;
    }
}

/* Rows [row, end), which lie one behind the other in memory. */
static void dw_walk_channels(dw_walk *w, int32_t row, int32_t end)
{
    const dw_params *p = w->p;
    const dw_axis y = dw_axis_of(row, end - row, p->stride_h, p->pad_top, p->kernel_h, p->in_h);
    const dw_axis x = dw_axis_of(0, p->out_w, p->stride_w, p->pad_left, p->kernel_w, p->in_w);
    int8_t *out = (int8_t *)tin_row_out(&p->out, w->arena, row);
    const int8_t *in;
    int in_order;
    w->along = p->by_column ? y : x;
    w->across = p->by_column ? x : y;
    dw_prepare(w);
    in_order = w->whole && p->in.count >= p->in_h;
    w->pairs_end = in_order ? (uint32_t)tin_max(w->across.end - 1, 0) : 0;
    w->triples_end = in_order ? (uint32_t)tin_max(w->across.end - 2, 0) : 0;
    if (w->length == 0) w->pairs_end = w->triples_end = 0;
    if (p->by_row) dw_find_triple(w, w->across.start);
    in = (const int8_t *)tin_row(&p->in, w->arena, 0) + w->along.end * w->step;
    if (w->entry & 1) out -= w->out_step;
    for (int32_t c = 0; c < p->in_c; c += 4) {
        /* The last channels may be fewer than four: they come with some before them, which are left alone. */
        w->channel = tin_max(0, tin_min(c, p->in_c - 4));
        w->first = c - w->channel;
        w->last = tin_min(4, p->in_c - w->channel);
        w->kinds = DW_KINDS ? p->kinds[c / 4] : 0;
        w->out = out + w->channel;
        w->in = in + w->channel;
        dw_unpack_channels(w);
        if (dw_pairs(w)) dw_walk_pairs(w);
        else dw_walk_triples(w);
    }
}

TIN_KERNEL void tin_depthwise_conv_2d_dsp(const tin_depthwise_conv_2d_dsp_params *p, uint8_t *arena, int32_t row,
                                          int32_t end)
{
    dw_walk w;
    w.p = p;
    w.arena = arena;
    w.channels = (tin_dw_channel *)(void *)(arena + p->scratch);
    w.columns = (uint32_t *)(void *)(w.channels + p->channels);
    w.pad = (int32_t)(0x01010101u * (uint8_t)p->pad_value);
    w.step = p->by_column ? p->in.stride : p->in_c;
    w.next_line = p->by_column ? p->in_c : p->in.stride;
    w.out_step = p->by_column ? p->out.stride : p->in_c;
    w.out_line = p->by_column ? p->in_c : p->out.stride;
    w.whole = p->in_c >= 4 && (p->in.count >= p->in_h || (!p->by_column && !p->pairs));
    for (int32_t part; row < end; row += part) {
        part = p->by_row ? 1 : tin_min(end - row, p->out.count - row % p->out.count);
        dw_walk_channels(&w, row, row + part);
    }
}
