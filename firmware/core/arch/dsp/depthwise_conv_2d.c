/* DEPTHWISE_CONV_2D, int8, windows of up to 3x3 pixels, for cores with the DSP extension.
 *
 * Four channels at a time walk over all rows [row, end): line by line across, pixel by pixel along the line. Lines are
 * image rows or, if `by_column`, image columns. depthwise_lines.h says how lines are unpacked, as pairs or triples.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arm_acle.h>

#include "depthwise_input.h"

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

/* The same for channels that are all TIN_DW_FAST. */
static void dw_walk_fast_pairs(const dw_walk *w)
{
    const tin_dw_channel *const low = w->channels + w->first, *const high = low + 4;
    const int32_t step = w->out_step, entry = w->entry, out_line = w->out_line;
    int8_t *out = w->out + w->first;
    int32_t next = w->across.start, left = w->across.outputs;
    dw_load_pair(w, next, w->begin);
    for (;; out += out_line) {
        dw_load_pair(w, next += 2, w->begin + 1);
        tin_dw_1_0l(low, out, step, entry);
        if (--left == 0) break;
        tin_dw_1_1h(high, out += out_line, step, entry);
        if (--left == 0) break;
        dw_load_pair(w, next += 2, w->begin);
        tin_dw_1_1l(low, out += out_line, step, entry);
        if (--left == 0) break;
        tin_dw_1_0h(high, out += out_line, step, entry);
        if (--left == 0) break;
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
    if ((!DW_KINDS || w->kinds == 0) && (pairs || w->last == 4)) {
        if (!pairs) return;
        channels[w->last - 1].single_2_rounds |= 0x10000u;
        channels[w->last + 3].single_2_rounds |= 0x10000u;
        return;
    }
    for (int32_t i = w->first; i < w->last; i++) {
        const uint32_t kind = w->kinds >> 2 * i & 3u;
        const int ends = i + 1 == w->last || (!pairs && i == 1) || (w->kinds >> 2 * (i + 1) & 3u) != kind;
        channels[i].single_2_rounds = (channels[i].single_2_rounds & ~0x10000u) | (ends ? 0x10000u : 0);
        if (ends && pairs) channels[i + 4].single_2_rounds |= 0x10000u;
        if (!DW_AWAY || kind != TIN_DW_AWAY) continue;
        dw_away(w, channels + i, w->channel + i);
        if (pairs) dw_away(w, channels + i + 4, w->channel + i);
    }
}

/* What all channels share: their columns, and the padding at both ends of lines. */
static void dw_prepare(dw_walk *w)
{
    const int32_t turns = w->along.outputs - (w->along.stride == 1), column = dw_column(w);
    uint32_t *const end = w->columns + ((w->along.outputs - 1) * w->along.stride + 3) * column;
    uint32_t *const begin = w->columns + (w->along.begin - w->along.start) * column;
    const int32_t count = w->along.end - w->along.begin;
    w->rounds = tin_dw_rounds(turns);
    w->entry = tin_dw_entry(turns);
    w->begin = begin;
    w->length = count * w->step;
    dw_fill(w->columns, begin < end ? begin : end, 1, w->pad);
    dw_fill(begin + count * column, end, 1, w->pad);
    for (int32_t i = 0; i < 4; i++) {
        const uint32_t *at = w->columns + (dw_pairs(w) ? 2 * i : (i & 1) * 3 + (i >> 1));
        w->channels[i].columns = at;
        if (dw_pairs(w)) w->channels[i + 4].columns = at;
    }
}

/* One row: as many whole fours of channels as are all TIN_DW_FAST, from the first on. Returns the channel behind. */
static int32_t dw_fast_row(const dw_walk *w, int8_t *out)
{
    /* What the loop needs is kept apart: it could change, for all that the compiler knows. */
    const dw_params *p = w->p;
    const int32_t step = w->out_step, entry = w->entry, last = p->in_c - 4, bytes = w->length, pixel = w->step;
    const uint32_t rounds = w->rounds, missing = w->missing;
    const int stride2 = DW_STRIDE2 && w->along.stride == 2;
    tin_dw_channel *const channels = w->channels;
    uint32_t *const columns = w->begin;
    const int8_t *a = w->ends[0], *b = w->ends[1], *d = w->ends[2], *weights = p->weights;
    const int32_t *scales = p->scales;
    int32_t c = 0;
    if (bytes == 0 || !w->whole || missing == 7) return c;
    for (; c <= last && (!DW_KINDS || p->kinds[c / 4] == 0); c += 4) {
        tin_dw_third(channels, weights, scales, 4, rounds);
        if (stride2) tin_dw_triples_2(columns, a, b, d, -bytes, pixel);
        else tin_dw_triples(columns, a, b, d, -bytes, pixel);
        if (missing) dw_blank_missing(w);
        if (stride2) {
            tin_dw_2_0l(channels, out, step, entry);
            tin_dw_2_1h(channels + 2, out + 2, step, entry);
        } else {
            tin_dw_1_0l(channels, out, step, entry);
            tin_dw_1_1h(channels + 2, out + 2, step, entry);
        }
        a += 4;
        b += 4;
        d += 4;
        out += 4;
        weights += 48;
        scales += 8;
    }
    return c;
}

/* `outputs` columns from `left` on of the rows [row, end), which lie one behind the other in memory. */
static void dw_walk_channels(dw_walk *w, int32_t row, int32_t end, int32_t left, int32_t outputs)
{
    const dw_params *p = w->p;
    const dw_axis y = dw_axis_of(row, end - row, p->stride_h, p->pad_top, p->kernel_h, p->in_h);
    const dw_axis x = dw_axis_of(left, outputs, p->stride_w, p->pad_left, p->kernel_w, p->in_w);
    int8_t *out = (int8_t *)tin_row_out(&p->out, w->arena, row) + left * p->in_c;
    const int8_t *in;
    int32_t c = 0;
    int in_order;
    w->along = p->by_column ? y : x;
    w->across = p->by_column ? x : y;
    dw_prepare(w);
    if (w->entry & 1) out -= w->out_step;
    if (DW_ROWS && p->by_row) {
        dw_find_triple(w, w->across.start);
        c = dw_fast_row(w, out);
        if (c == p->in_c) return;
    }
    in_order = w->whole && p->in.count >= p->in_h && w->length > 0;
    w->pairs_end = in_order ? (uint32_t)tin_max(w->across.end - 1, 0) : 0;
    w->triples_end = in_order ? (uint32_t)tin_max(w->across.end - 2, 0) : 0;
    in = (const int8_t *)tin_row(&p->in, w->arena, 0) + w->along.end * w->step;
    for (; c < p->in_c; c += 4) {
        /* The last channels may be fewer than four: they come with some before them, which are left alone. */
        w->channel = tin_max(0, tin_min(c, p->in_c - 4));
        w->first = c - w->channel;
        w->last = tin_min(4, p->in_c - w->channel);
        w->kinds = DW_KINDS ? p->kinds[c / 4] : 0;
        w->out = out + w->channel;
        w->in = in + w->channel;
        dw_unpack_channels(w);
        if (!dw_pairs(w)) dw_walk_triples(w);
        else if (!DW_KINDS || w->kinds == 0) dw_walk_fast_pairs(w);
        else dw_walk_pairs(w);
    }
}

TIN_KERNEL void tin_depthwise_conv_2d_dsp(const tin_depthwise_conv_2d_dsp_params *p, uint8_t *arena, int32_t row,
                                          int32_t end)
{
    const int32_t strip = DW_ROWS && p->by_row ? p->strip : p->out_w;
    dw_walk w;
    w.p = p;
    w.arena = arena;
    w.channels = (tin_dw_channel *)(void *)tin_room(arena, p->scratch);
    w.columns = (uint32_t *)(void *)(w.channels + p->channels);
    w.pad = (int32_t)(0x01010101u * (uint8_t)p->pad_value);
    w.step = p->by_column ? p->in.stride : p->in_c;
    w.next_line = p->by_column ? p->in_c : p->in.stride;
    w.out_step = p->by_column ? p->out.stride : p->in_c;
    w.out_line = p->by_column ? p->in_c : p->out.stride;
    w.whole = !DW_PIXELWISE || (p->in_c >= 4 && (p->in.count >= p->in_h || (!p->by_column && !p->pairs)));
    for (int32_t part; row < end; row += part) {
        part = DW_ROWS && p->by_row ? 1 : tin_min(end - row, p->out.count - row % p->out.count);
        for (int32_t x = 0; x < p->out_w; x += strip)
            dw_walk_channels(&w, row, row + part, x, tin_min(strip, p->out_w - x));
    }
}
