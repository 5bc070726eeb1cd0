/* One line of depthwise outputs, 3x3: the inner loops of DEPTHWISE_CONV_2D on cores with the DSP extension.
 *
 * A line runs along one image axis, a column across it. Four neighbouring channels are unpacked together into columns
 * of words that hold two pixels each, times 256. Every output needs a word of two lines (the pair) and half a word of
 * the third line (the single) from each of three columns. There are two kinds of columns:
 *
 *     pairs    [4 channels][2 slots]: two slots take turns; they hold lines 0-1 and 2-3, then 4-5 and 2-3, then 4-5 and
 *              6-7. A line is unpacked once and kept as long as it is needed.
 *     triples  channel 0's pair, third line of channels 0 and 2, channel 2's pair;
 *              channel 1's pair, third line of channels 1 and 3, channel 3's pair.
 *              Lines are unpacked for each output line anew, and nothing is kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DEPTHWISE_LINES_H
#define TIN_DEPTHWISE_LINES_H

#include <stdint.h>

#define TIN_DW_COLUMN 8        /* words of a column */
#define TIN_DW_COLUMN_STRIDE 6 /* the same, if outputs are two pixels apart: triples without a gap */

/* How a channel is requantized. */
#define TIN_DW_FAST 0
#define TIN_DW_AWAY 1 /* away from zero below zero */
#define TIN_DW_SLOW 2 /* step by step, as TFLite does */
#define TIN_DW_WIDE 3 /* fast, with two bits less behind the point, for scales of up to 1/4 */

#define TIN_DW_UP 5 /* weights come times 2^5 */

/* A channel as the loops want it. */
typedef struct tin_dw_channel {
    const uint32_t *columns;
    uint32_t pair[3];         /* the weights of the pair, for each tap along the line */
    uint32_t single_01;       /* the weights of the single, taps 0 and 1 */
    uint32_t single_2_rounds; /* tap 2; above it tin_dw_rounds() and, in bit 16, whether the channel is the last one */
    int32_t multiplier;
    int32_t start; /* in units of 2^-16 (WIDE: 2^-14): zero point, rounding and, but for AWAY, bias */
} tin_dw_channel;

/* What TIN_DW_AWAY wants beside that, TIN_DW_BESIDE channels behind. */
#define TIN_DW_BESIDE 8
typedef struct tin_dw_beside {
    int32_t start_negative; /* `start` for accumulators below zero: TFLite's second rounding is away from zero */
    int32_t bias;
    int32_t unused[6];
} tin_dw_beside;

/* Loops make four turns a round, and one turn for each output; with stride 1 the last output is made behind them. */
static inline uint32_t tin_dw_rounds(int32_t turns) { return ((uint32_t)(turns + 3) / 4 - 1) << 17; }
/* Where a loop is entered. */
static inline int32_t tin_dw_entry(int32_t turns) { return turns == 0 ? 4 : turns & 3; }

/* tin_dw_STRIDE_SLOTHALF: outputs of some channels, up to the one that is marked as last. STRIDE is that along the
 * line; SLOT is the one of two neighbouring words that is the pair; HALF the one of the other that is the single (low
 * or high). The first output of the first channel goes to `out`, or, if `entry` is odd, `step` bytes behind it;
 * channels lie one byte apart, outputs `step` bytes. `_away` and `_wide` are for channels of that kind. */
#define TIN_DW_LINES(kind)                                                                           \
    void tin_dw_1_0l##kind(const tin_dw_channel *channel, int8_t *out, int32_t step, int32_t entry); \
    void tin_dw_1_1l##kind(const tin_dw_channel *channel, int8_t *out, int32_t step, int32_t entry); \
    void tin_dw_1_0h##kind(const tin_dw_channel *channel, int8_t *out, int32_t step, int32_t entry); \
    void tin_dw_1_1h##kind(const tin_dw_channel *channel, int8_t *out, int32_t step, int32_t entry); \
    void tin_dw_2_0l##kind(const tin_dw_channel *channel, int8_t *out, int32_t step, int32_t entry); \
    void tin_dw_2_1h##kind(const tin_dw_channel *channel, int8_t *out, int32_t step, int32_t entry);
TIN_DW_LINES()
TIN_DW_LINES(_away)
TIN_DW_LINES(_wide)

/* One slot of columns from two lines, which end at `a` and `b` and need no alignment: four bytes `offset` (below zero),
 * `offset + step`, ... before the ends, down to -step. */
void tin_dw_columns(uint32_t *slot, const int8_t *a, const int8_t *b, int32_t offset, int32_t step);

/* The same with each line's own step from its beginning on, for `count` columns. */
void tin_dw_border(uint32_t *slot, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step, int32_t count);

/* Triples from three lines: as for tin_dw_columns. tin_dw_triples_2 leaves no gap between columns. */
void tin_dw_triples(uint32_t *columns, const int8_t *a, const int8_t *b, const int8_t *c, int32_t offset, int32_t step);
void tin_dw_triples_2(uint32_t *columns, const int8_t *a, const int8_t *b, const int8_t *c, int32_t offset,
                      int32_t step);

/* Everything of `count` channels but their columns, with singles in the third line; tin_dw_both also with singles in
 * the first line, four channels on. `weights` has bytes w0 w1 w1 w2 across for each of 3 taps along the line, `scales`
 * the multiplier and start. tin_dw_third marks every other channel, and the last one, as the last of a run. */
void tin_dw_third(tin_dw_channel *channel, const int8_t *weights, const int32_t *scales, int32_t count,
                  uint32_t rounds);
void tin_dw_both(tin_dw_channel *channel, const int8_t *weights, const int32_t *scales, int32_t count,
                 uint32_t rounds);

#endif /* TIN_DEPTHWISE_LINES_H */
