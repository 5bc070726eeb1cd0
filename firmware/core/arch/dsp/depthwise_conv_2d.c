/* DEPTHWISE_CONV_2D, int8, windows of up to 3x3 pixels, for cores with the DSP extension.
 *
 * Four channels at a time walk over all rows [row, end): line by line across, pixel by pixel along the line. Lines are
 * image rows or, if `by_column`, image columns.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arm_acle.h>
#include <string.h>

#include "depthwise_lines.h"
#include "tin_math.h"
#include "tin_ops.h"

typedef tin_depthwise_conv_2d_dsp_params dw_params;

#define DW_STRIDE2 TIN_DEPTHWISE_CONV_2D_DSP_STRIDE2
#define DW_AWAY TIN_DEPTHWISE_CONV_2D_DSP_AWAY
#define DW_SLOW TIN_DEPTHWISE_CONV_2D_DSP_SLOW
#define DW_KINDS (DW_AWAY || DW_SLOW) /* whether channels may differ */

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
    tin_dw_channel *channels;   /* four for singles in low halves, four for singles in high halves */
    int32_t pad;                /* four pixels of padding */
    int32_t step, next_line;    /* bytes from pixel to pixel along the line, from line to line */
    int32_t out_step, out_line; /* the same for outputs */
    int8_t *out;                /* channel 0 of the four, first line */
    const int8_t *in;           /* the same, at along.begin, line 0; only if `whole` */
    int whole;                  /* the input is no ring, and words of four channels end within it */
    int32_t channel;            /* channel 0 of the four */
    int32_t first, last;        /* those of the four that are to be computed */
    uint32_t kinds;             /* two bits a channel */
} dw_walk;

static dw_axis dw_axis_of(int32_t first, int32_t outputs, int32_t stride, int32_t pad, int32_t kernel, int32_t size)
{
    dw_axis a = {outputs, stride, first * stride - pad, 0, 0};
    a.begin = tin_max(a.start, 0);
    a.end = tin_min(a.start + (outputs - 1) * stride + kernel, size);
    return a;
}

/* The same as dw_load_pair, pixel by pixel. */
static void dw_load_pixels(const dw_walk *w, int32_t line, uint32_t *slot)
{
    const dw_params *p = w->p;
    for (int32_t i = w->along.begin; i < w->along.end; i++) {
        int32_t words[2] = {w->pad, w->pad};
        for (int32_t k = 0; k < 2; k++) {
            const int32_t y = p->by_column ? i : line + k, x = p->by_column ? line + k : i;
            if (line + k < w->across.begin || line + k >= w->across.end) continue;
            memcpy(&words[k], tin_row(&p->in, w->arena, y) + x * p->in_c + w->channel, (size_t)tin_min(p->in_c, 4));
        }
        tin_dw_columns(slot + (i - w->along.start) * TIN_DW_COLUMN, (const int8_t *)&words[0], 0,
                       (const int8_t *)&words[1], 0, 1);
    }
}

/* Loads lines `line` and `line + 1` of the image into a slot. Lines that do not exist are padding. */
static void dw_load_pair(const dw_walk *w, int32_t line, uint32_t *slot)
{
    const int8_t *a = (const int8_t *)&w->pad, *b = a;
    int32_t a_step = 0, b_step = 0;
    if (TIN_DEPTHWISE_CONV_2D_DSP_PIXELWISE && !w->whole) {
        dw_load_pixels(w, line, slot);
        return;
    }
    if (line >= w->across.begin && line < w->across.end) {
        a = w->in + line * w->next_line;
        a_step = w->step;
    }
    if (line + 1 >= w->across.begin && line + 1 < w->across.end) {
        b = w->in + (line + 1) * w->next_line;
        b_step = w->step;
    }
    tin_dw_columns(slot + (w->along.begin - w->along.start) * TIN_DW_COLUMN, a, a_step, b, b_step,
                   w->along.end - w->along.begin);
}

/* One line of one channel, whatever its scale, zero point and limits are. */
static void dw_slow_line(const dw_walk *w, const tin_dw_line *line, int8_t *out, int32_t channel, int32_t slot,
                         int32_t high)
{
    const dw_params *p = w->p;
    const tin_dw_channel *c = line->channel;
    const int16x2_t w0 = (int16x2_t)c->pair[0], w1 = (int16x2_t)c->pair[1], w2 = (int16x2_t)c->pair[2];
    const int32_t single_01 = (int32_t)c->single_01, single_2 = (int32_t)c->single_2_step, zero = p->out_zero;
    const int32_t least = p->low, most = p->high;
    const int32_t step = w->along.stride * TIN_DW_COLUMN, half = high ? 16 : 0, shift = p->shift[channel];
    const int32_t bias = p->bias[channel], multiplier = p->multiplier[channel], out_step = w->out_step;
    const int32_t left = tin_max(shift, 0), right = tin_max(-shift, 0);
    const uint32_t *pair = line->columns + slot, *single = line->columns + (1 - slot);
    for (int32_t x = w->along.outputs; x > 0; x--, pair += step, single += step, out += out_step) {
        int32_t acc = __smlad((int16x2_t)pair[0], w0, 0);
        acc = __smlad((int16x2_t)pair[TIN_DW_COLUMN], w1, acc);
        acc = __smlad((int16x2_t)pair[2 * TIN_DW_COLUMN], w2, acc);
        acc = __smlabb((int32_t)(single[0] >> half), single_01, acc);
        acc = __smlabt((int32_t)(single[TIN_DW_COLUMN] >> half), single_01, acc);
        acc = __smlabb((int32_t)(single[2 * TIN_DW_COLUMN] >> half), single_2, acc);
        acc = (int32_t)((uint32_t)tin_add_wrap(acc >> 8, bias) << left);
        acc = tin_rounding_shift(tin_doubling_high_mul(acc, multiplier), right) + zero;
        *out = (int8_t)tin_clamp(acc, least, most);
    }
}

static void dw_fast_line(const tin_dw_line *line, int8_t *out, int32_t stride, int32_t slot, int32_t high)
{
    if (DW_STRIDE2 && stride == 2) slot ? tin_dw_2_1l(line, out) : tin_dw_2_0l(line, out);
    else if (high) slot ? tin_dw_1_1h(line, out) : tin_dw_1_0h(line, out);
    else slot ? tin_dw_1_1l(line, out) : tin_dw_1_0l(line, out);
}

static void dw_away_line(const tin_dw_line *line, int8_t *out, int32_t stride, int32_t slot, int32_t high)
{
    if (DW_STRIDE2 && stride == 2) slot ? tin_dw_2_1l_away(line, out) : tin_dw_2_0l_away(line, out);
    else if (high) slot ? tin_dw_1_1h_away(line, out) : tin_dw_1_0h_away(line, out);
    else slot ? tin_dw_1_1l_away(line, out) : tin_dw_1_0l_away(line, out);
}

/* One output line of all channels. `slot` holds the pair; the single is the low or high half of the other. */
static void dw_one_line(const dw_walk *w, const tin_dw_line *all, int8_t *out, int32_t slot, int32_t high)
{
    tin_dw_line line = *all;
    for (int32_t i = w->first, next; i < w->last; i = next) {
        const uint32_t kind = w->kinds >> 2 * i & 3u;
        for (next = i + 1; next < w->last && kind != TIN_DW_SLOW && (w->kinds >> 2 * next & 3u) == kind;) next++;
        line.channel = w->channels + 4 * high + i;
        line.channel_end = line.channel + (next - i);
        line.columns = w->columns + 2 * i;
        if (DW_SLOW && kind == TIN_DW_SLOW) dw_slow_line(w, &line, out + i, w->channel + i, slot, high);
        else if (DW_AWAY && kind == TIN_DW_AWAY) dw_away_line(&line, out + i, w->along.stride, slot, high);
        else dw_fast_line(&line, out + i, w->along.stride, slot, high);
    }
}

/* All lines of four channels. A pair of lines is loaded just before the first output that needs it. */
static void dw_walk_lines(const dw_walk *w)
{
    const int32_t stride = w->along.stride, turns = w->along.outputs - (stride == 1);
    const tin_dw_channel *first = w->channels + w->first, *last = w->channels + w->last;
    const tin_dw_line low = {first, w->columns + 2 * w->first, last, turns == 0 ? 4 : turns & 3, turns * w->out_step};
    const tin_dw_line high = {first + 4, low.columns, last + 4, low.entry, low.length};
    int8_t *out = w->out;
    int32_t slot = 0, next = w->across.start + 2;
    dw_load_pair(w, w->across.start, w->columns);
    for (int32_t line = 0; line < w->across.outputs; line++, out += w->out_line) {
        dw_load_pair(w, next, w->columns + (1 - slot));
        next += 2;
        if (!DW_KINDS || w->kinds == 0) dw_fast_line(&low, out + w->first, stride, slot, 0);
        else dw_one_line(w, &low, out, slot, 0);
        slot = 1 - slot;
        if ((DW_STRIDE2 && w->across.stride == 2) || line + 1 == w->across.outputs) continue;
        line++;
        out += w->out_line;
        if (!DW_KINDS || w->kinds == 0) dw_fast_line(&high, out + w->first, stride, slot, 1);
        else dw_one_line(w, &high, out, slot, 1);
    }
}

/* Data come times 2^8; weights times 2^(9 - r), where r is the final shift, as long as that can be. */
static void dw_unpack_channels(const dw_walk *w, const int8_t *weights)
{
    const dw_params *p = w->p;
    for (int32_t i = w->first; i < w->last; i++) {
        tin_dw_channel *low = w->channels + i, *high = low + 4;
        const int slow = DW_SLOW && (w->kinds >> 2 * i & 3u) == TIN_DW_SLOW;
        const int32_t channel = w->channel + i, r = slow ? 9 : -p->shift[channel], up = tin_max(9 - r, 0);
        low->multiplier = high->multiplier = p->multiplier[channel];
        low->bias = high->bias = (int32_t)((uint32_t)p->bias[channel] << (8 + up));
        low->round = high->round = p->out_zero * 65536 + 0x8000 + (0x8000 >> r);
        low->round_negative = high->round_negative = low->round - (0x10000 >> r);
        tin_dw_weights(low, weights + i, up, w->out_step);
    }
}

/* Rows [row, end), which lie one behind the other in memory. */
static void dw_walk_channels(dw_walk *w, int32_t row, int32_t end)
{
    const dw_params *p = w->p;
    const dw_axis y = dw_axis_of(row, end - row, p->stride_h, p->pad_top, p->kernel_h, p->in_h);
    const dw_axis x = dw_axis_of(0, p->out_w, p->stride_w, p->pad_left, p->kernel_w, p->in_w);
    const uint32_t pad_pair = (uint32_t)w->pad & 0xff00ff00u;
    int8_t *out = (int8_t *)tin_row_out(&p->out, w->arena, row);
    const int8_t *in, *weights = p->weights;
    int32_t words;
    w->along = p->by_column ? y : x;
    w->across = p->by_column ? x : y;
    in = (const int8_t *)tin_row(&p->in, w->arena, 0) + w->along.begin * w->step;
    words = ((w->along.outputs - 1) * w->along.stride + 3) * TIN_DW_COLUMN;
    for (int32_t i = 0; i < words; i++) w->columns[i] = pad_pair;
    for (int32_t c = 0; c < p->in_c; c += 4, weights += 36) {
        /* The last channels may be fewer than four: they come with some before them, which are left alone. */
        w->channel = tin_max(0, tin_min(c, p->in_c - 4));
        w->first = c - w->channel;
        w->last = tin_min(4, p->in_c - w->channel);
        w->kinds = p->kinds[c / 4];
        w->out = out + w->channel;
        w->in = in + w->channel;
        dw_unpack_channels(w, weights);
        dw_walk_lines(w);
    }
}

TIN_KERNEL void tin_depthwise_conv_2d_dsp(const tin_depthwise_conv_2d_dsp_params *p, uint8_t *arena, int32_t row,
                                          int32_t end)
{
    dw_walk w;
    w.p = p;
    w.arena = arena;
    w.channels = (tin_dw_channel *)(void *)(arena + p->scratch);
    w.columns = (uint32_t *)(void *)(w.channels + 8);
    w.pad = (int32_t)(0x01010101u * (uint8_t)p->pad_value);
    w.step = p->by_column ? p->in.stride : p->in_c;
    w.next_line = p->by_column ? p->in_c : p->in.stride;
    w.out_step = p->by_column ? p->out.stride : p->in_c;
    w.out_line = p->by_column ? p->in_c : p->out.stride;
    w.whole = p->in.count >= p->in_h && p->in_c >= 4;
    for (int32_t part; row < end; row += part) {
        part = tin_min(end - row, p->out.count - row % p->out.count);
        dw_walk_channels(&w, row, row + part);
    }
}
