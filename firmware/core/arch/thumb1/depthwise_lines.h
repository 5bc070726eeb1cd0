/* Lines of depthwise outputs, 3x3: the inner loops of DEPTHWISE_CONV_2D on ARMv6-M. depthwise_lines.S
 *
 * A line runs along one image axis, a column across it. Up to four neighbouring channels are unpacked together into
 * columns of 16 bytes: for each channel a word, in whose bytes 0 to 2 lie the pixels of three neighbouring lines, 128
 * added. Line i lies in byte i % 3, so that a new line takes the place of one that is not needed any more; the weights
 * are there in all three orders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DEPTHWISE_LINES_H
#define TIN_DEPTHWISE_LINES_H

#include <stdint.h>

#define TIN_DW_GROUP 4   /* channels that are unpacked together */
#define TIN_DW_COLUMN 16 /* bytes of a column */
#define TIN_DW_ORDERS 3

/* What the loops read of a channel, for one order of its lines. With stride 1 the weights come line by line, those of
 * taps 2, 1, 0 along the line; with stride 2 first tap 1 of all lines, then line by line taps 2 and 0. */
typedef struct tin_dw_stream {
    int32_t bias;         /* less the first accumulator */
    int32_t m1;           /* upper multiplier; 0: the channel has no constants and is left out */
    int32_t weights[9];
    uint32_t last, m0, c; /* last accumulator, lower multiplier, what is added */
    int32_t zero, drop;   /* kinked records: the first accumulator that is not negative, what is added below it */
} tin_dw_stream;

/* A line of some channels. */
typedef struct tin_dw_line {
    const tin_dw_stream *stream; /* of the first channel; the next channel's lies TIN_DW_ORDERS further */
    const uint8_t *columns;
    int8_t *out;                 /* first output of the first channel */
    int32_t channels;
    int32_t bytes;               /* of all columns that are read */
    int32_t low, high;           /* limits of the outputs */
    int32_t out_step;            /* bytes between outputs of a channel */
} tin_dw_line;

void tin_dw_line_1(const tin_dw_line *line);
void tin_dw_line_2(const tin_dw_line *line);
void tin_dw_line_1_kinked(const tin_dw_line *line);
void tin_dw_line_2_kinked(const tin_dw_line *line);

/* Unpacks `count` > 0 pixels of four channels, or of one, into byte 0 of columns at `to`. Pixels lie `step` bytes
 * apart; for four channels, `from` and `step` are multiples of four. */
void tin_dw_load_4(uint8_t *to, const int8_t *from, int32_t step, int32_t count);
void tin_dw_load_1(uint8_t *to, const int8_t *from, int32_t step, int32_t count);

#endif /* TIN_DEPTHWISE_LINES_H */
