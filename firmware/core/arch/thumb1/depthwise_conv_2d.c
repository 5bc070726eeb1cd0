/* DEPTHWISE_CONV_2D, int8, for ARMv6-M: windows of up to 3x3, strides of 1 and 2 along the lines.
 *
 * Four channels at a time walk over the whole image, line by line along its longer side. Lines are unpacked just
 * before they are needed (depthwise_lines.h), with the padding around them. Smaller windows are filled up with weights
 * of zero.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>

#include "depthwise_lines.h"
#include "tin_ops.h"
#include "tin_thumb1.h"

typedef tin_depthwise_conv_2d_thumb1_params dw_params;

/* An image as lines, from the first output row that is asked for. */
typedef struct dw_image {
    uint8_t *columns;
    tin_dw_stream *streams; /* of the channels that are unpacked */
    int32_t length;         /* columns */
    int32_t first, last;    /* columns inside the image, [first, last) */
    int32_t position;       /* of column 0 along the input's lines */
    int32_t base;           /* the first input line of the first window */
    int32_t channel, channels;
    tin_dw_line line;
} dw_image;

static int32_t dw_next_of_three(int32_t i) { return i == TIN_DW_ORDERS - 1 ? 0 : i + 1; }

/* The weights of tap `across` for the order in which they lie in `slot`. */
static inline void dw_put(tin_dw_stream *stream, int32_t slot, int32_t w0, int32_t w1, int32_t w2, int32_t stride)
{
    int32_t *to = stream->weights;
    if (stride == 1) {
        to[3 * slot] = w2;
        to[3 * slot + 1] = w1;
        to[3 * slot + 2] = w0;
    } else {
        to[slot] = w1;
        to[2 * slot + 3] = w2;
        to[2 * slot + 4] = w0;
    }
}

/* The streams of a channel, for all orders in which its lines can lie. */
static inline void dw_weights(const int8_t *w, tin_dw_stream *stream, int32_t stride)
{
    dw_put(stream, 0, w[0], w[1], w[2], stride);
    dw_put(stream + 1, 1, w[0], w[1], w[2], stride);
    dw_put(stream + 2, 2, w[0], w[1], w[2], stride);
    dw_put(stream, 1, w[3], w[4], w[5], stride);
    dw_put(stream + 1, 2, w[3], w[4], w[5], stride);
    dw_put(stream + 2, 0, w[3], w[4], w[5], stride);
    dw_put(stream, 2, w[6], w[7], w[8], stride);
    dw_put(stream + 1, 0, w[6], w[7], w[8], stride);
    dw_put(stream + 2, 1, w[6], w[7], w[8], stride);
}

static void dw_set_up(const dw_params *p, int32_t c, tin_dw_stream *stream)
{
    const int32_t *record = p->scales + c * p->scale_words;
    const tin_split split = tin_split_at(record + 1, p->scale_words == 6);
    for (int32_t order = 0; order < TIN_DW_ORDERS; order++) {
        stream[order].bias = record[0];
        stream[order].m1 = (int32_t)split.m1;
        stream[order].last = split.last;
        stream[order].m0 = split.m0;
        stream[order].c = split.c;
        stream[order].zero = (int32_t)split.zero;
        stream[order].drop = (int32_t)split.drop;
    }
    if (p->stride_along == 1) dw_weights(p->weights + 9 * c, stream, 1);
    else dw_weights(p->weights + 9 * c, stream, 2);
}

/* Unpacks neighbouring pixels of the channels at hand. */
static void dw_load_piece(const dw_image *m, uint8_t *to, const int8_t *from, int32_t step, int32_t count)
{
    if (m->channels == TIN_DW_GROUP && (((uintptr_t)from | (uintptr_t)step) & 3) == 0) {
        tin_dw_load_4(to, from, step, count);
        return;
    }
    for (int32_t k = 0; k < m->channels; k++) tin_dw_load_1(to + 4 * k, from + k, step, count);
}

/* Unpacks an input line, or what lies beyond the first and last one. */
static void dw_load_line(const dw_params *p, const uint8_t *arena, const dw_image *m, int32_t line, int32_t slot)
{
    uint8_t *to = m->columns + TIN_DW_COLUMN * m->first + slot;
    int32_t left = m->last - m->first, at = m->position + m->first;
    if (line < 0 || line >= (p->by_column ? p->in_w : p->in_h)) {
        for (; left > 0; left--, to += TIN_DW_COLUMN)
            for (int32_t k = 0; k < TIN_DW_GROUP; k++) to[4 * k] = (uint8_t)(p->pad_value + 128);
    } else if (!p->by_column) {
        const int8_t *from = (const int8_t *)tin_row(&p->in, arena, line) + at * p->in_c + m->channel;
        if (left > 0) dw_load_piece(m, to, from, p->in_c, left);
    } else {
        while (left > 0) {
            const int32_t whole = at + left <= p->in.count;
            const int32_t count = whole ? left : tin_min(left, p->in.count - at % p->in.count);
            const int8_t *from = (const int8_t *)tin_row(&p->in, arena, at) + line * p->in_c + m->channel;
            dw_load_piece(m, to, from, p->in.stride, count);
            left -= count;
            at += count;
            to += TIN_DW_COLUMN * count;
        }
    }
}

/* The outputs of those channels that have no constants. */
static void dw_exact_channels(const dw_params *p, const dw_image *m, int32_t order, int32_t outputs)
{
    for (int32_t k = 0; k < m->channels; k++) {
        const int32_t *record = p->scales + (m->channel + k) * p->scale_words;
        int8_t *out = m->line.out + k;
        for (int32_t i = 0; record[2] == 0 && i < outputs; i++, out += m->line.out_step) {
            const int8_t *w = p->weights + 9 * (m->channel + k);
            int32_t sum = 0;
            for (int32_t across = 0, slot = order; across < 3; across++, slot = dw_next_of_three(slot)) {
                const uint8_t *x = m->columns + TIN_DW_COLUMN * i * p->stride_along + 4 * k + slot;
                for (int32_t along = 0; along < 3; along++) sum += *w++ * x[TIN_DW_COLUMN * along];
            }
            *out = tin_exact((uint32_t)sum, p->scales + record[0], p->out_zero, p->low, p->high);
        }
    }
}

/* All lines of the channels at hand. */
static void dw_run_channels(const dw_params *p, uint8_t *arena, dw_image *m, int32_t row, int32_t lines,
                            int32_t outputs)
{
    int32_t next = m->base, slot = 0, order = 0, base = m->base;
    for (int32_t i = 0; i < lines; i++, base += p->stride_across) {
        for (; next < base + 3; next++, slot = dw_next_of_three(slot))
            if (next >= base) dw_load_line(p, arena, m, next, slot);
        m->line.stream = m->streams + order;
        m->line.out = (int8_t *)(p->by_column ? tin_row_out(&p->out, arena, row) + i * p->in_c
                                              : tin_row_out(&p->out, arena, row + i)) + m->channel;
        if (p->scale_words == 4) (p->stride_along == 1 ? tin_dw_line_1(&m->line) : tin_dw_line_2(&m->line));
        else (p->stride_along == 1 ? tin_dw_line_1_kinked(&m->line) : tin_dw_line_2_kinked(&m->line));
        if (p->some_exact) dw_exact_channels(p, m, order, outputs);
        for (int32_t k = p->stride_across; k > 0; k--) order = dw_next_of_three(order);
    }
}

/* Output rows that lie one behind the other in memory, if lines are columns. */
static void dw_run_rows(const dw_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const int32_t by_column = p->by_column, outputs = by_column ? end - row : p->out_w;
    const int32_t size = by_column ? p->in_h : p->in_w;
    uint8_t *const scratch = tin_room(arena, p->scratch);
    dw_image m = { .streams = (tin_dw_stream *)(void *)scratch };
    m.columns = scratch + TIN_DW_GROUP * TIN_DW_ORDERS * sizeof(tin_dw_stream);
    m.length = (outputs - 1) * p->stride_along + 3;
    m.position = (by_column ? row * p->stride_along : 0) - p->pad_along;
    m.base = (by_column ? 0 : row * p->stride_across) - p->pad_across;
    m.first = tin_min(tin_max(-m.position, 0), m.length);
    m.last = tin_max(tin_min(size - m.position, m.length), m.first);
    m.line = (tin_dw_line){ NULL, m.columns, NULL, 0, TIN_DW_COLUMN * m.length, p->low, p->high,
                            by_column ? p->out.stride : p->in_c };
    for (int32_t i = 0; i < TIN_DW_COLUMN * m.length; i++) m.columns[i] = (uint8_t)(p->pad_value + 128);
    for (m.channel = 0; m.channel < p->in_c; m.channel += TIN_DW_GROUP) {
        m.line.channels = m.channels = tin_min(p->in_c - m.channel, TIN_DW_GROUP);
        for (int32_t k = 0; k < m.channels; k++) dw_set_up(p, m.channel + k, m.streams + TIN_DW_ORDERS * k);
        dw_run_channels(p, arena, &m, row, by_column ? p->out_w : end - row, outputs);
    }
}

TIN_KERNEL void tin_depthwise_conv_2d_thumb1(const tin_depthwise_conv_2d_thumb1_params *p, uint8_t *arena, int32_t row,
                                             int32_t end)
{
    while (row < end) {
        int32_t stop = end;
        if (p->by_column && end > p->out.count) stop = tin_min(end, row + p->out.count - row % p->out.count);
        dw_run_rows(p, arena, row, stop);
        row = stop;
    }
}
