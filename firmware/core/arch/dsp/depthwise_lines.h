/* One line of depthwise outputs, 3x3: the inner loops of DEPTHWISE_CONV_2D on cores with the DSP extension.
 *
 * A line runs along one image axis, a column across it. Four neighbouring channels are unpacked together into columns
 *
 *     uint32_t column[4 channels][2 slots]
 *
 * of which every word holds two neighbouring pixels of a channel, one of an even line in the low half and one of the
 * next line in the high half, each times 256. The two slots take turns: they hold lines 0-1 and 2-3, then 4-5 and 2-3,
 * then 4-5 and 6-7. Three lines are thus always a whole word (the pair) and half of the other (the single).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DEPTHWISE_LINES_H
#define TIN_DEPTHWISE_LINES_H

#include <stdint.h>

#define TIN_DW_COLUMN 8 /* words of a column */

/* How a channel is requantized. */
#define TIN_DW_FAST 0
#define TIN_DW_AWAY 1 /* away from zero below zero */
#define TIN_DW_SLOW 2 /* step by step, as TFLite does */

/* A channel as the loops want it: weights w[tap along the line][tap across], scaled so that accumulators are
 * 2^(17 - r) times what they were, r being the final shift of the requantization. */
typedef struct tin_dw_channel {
    int32_t round_negative; /* `round` for accumulators below zero: TFLite's second rounding is away from zero */
    uint32_t pair[3];       /* the weights of the pair, for each tap along the line */
    uint32_t single_01;     /* the weights of the single, taps 0 and 1 */
    uint32_t single_2_step; /* tap 2; bytes between outputs in the high half */
    int32_t multiplier;
    int32_t round; /* zero point and rounding, in units of 2^-16 */
    int32_t bias;
} tin_dw_channel;

/* What all lines of some neighbouring channels have in common, in the order in which the assembly loads it. */
typedef struct tin_dw_line {
    const tin_dw_channel *channel;
    const uint32_t *columns; /* of the first channel; channels lie two words apart */
    const tin_dw_channel *channel_end;
    int32_t entry;  /* turns % 4, or 4 if there is no turn: where the loop of four turns is entered */
    int32_t length; /* bytes from the first output of a channel to that behind the last turn */
} tin_dw_line;

/* tin_dw_STRIDE_SLOTHALF: stride along the line; the slot that holds the pair; the half of the other that is the
 * single (l: low, the line behind the pair; h: high, the line before). `_away` rounds like TFLite also below zero.
 * `out` is where the first output of the first channel goes; channels lie one byte apart. The loops make one turn for
 * each output; with stride 1 the last output is made behind them. */
void tin_dw_1_0l(const tin_dw_line *line, int8_t *out);
void tin_dw_1_1l(const tin_dw_line *line, int8_t *out);
void tin_dw_1_0h(const tin_dw_line *line, int8_t *out);
void tin_dw_1_1h(const tin_dw_line *line, int8_t *out);
void tin_dw_2_0l(const tin_dw_line *line, int8_t *out);
void tin_dw_2_1l(const tin_dw_line *line, int8_t *out);
void tin_dw_1_0l_away(const tin_dw_line *line, int8_t *out);
void tin_dw_1_1l_away(const tin_dw_line *line, int8_t *out);
void tin_dw_1_0h_away(const tin_dw_line *line, int8_t *out);
void tin_dw_1_1h_away(const tin_dw_line *line, int8_t *out);
void tin_dw_2_0l_away(const tin_dw_line *line, int8_t *out);
void tin_dw_2_1l_away(const tin_dw_line *line, int8_t *out);

/* One slot of `count` columns, from four bytes at `a` (low halves) and four at `b` (high halves), both of which step
 * from column to column by their own number of bytes and need no alignment. */
void tin_dw_columns(uint32_t *slot, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step, int32_t count);

/* The weights of a channel, times 2^up, for singles in low halves (`low`) and, four channels on, in high halves.
 * `weights` are 3 taps across for each of 3 taps along, four bytes from one to the next; outputs are `step` apart. */
void tin_dw_weights(tin_dw_channel *low, const int8_t *weights, int32_t up, int32_t step);

#endif /* TIN_DEPTHWISE_LINES_H */
