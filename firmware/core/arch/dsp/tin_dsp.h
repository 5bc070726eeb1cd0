/* What the kernels for cores with the DSP extension share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DSP_H
#define TIN_DSP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For functions that few layers need: small, and not in the way of others. And for loops that need all registers. */
#if defined(__GNUC__)
#define TIN_DSP_RARE __attribute__((cold, noinline))
#define TIN_DSP_OUTLINE __attribute__((noinline, unused))
#else
#define TIN_DSP_RARE
#define TIN_DSP_OUTLINE
#endif

/* What blocks.S needs for a pair of channels lies in one stream of words, in the order of reading:
 *
 *     the first weight word; F and S at the start; all further weight words, of each load the last one first;
 *     multiplier, constant of the upper channel; shifts; multiplier, constant of the lower channel
 *
 * All loads but the first one take TIN_DSP_LOAD words (sliding blocks: TIN_DSP_LOAD_SLIDING). Shifts are
 *
 *     0: fast, (constant + (multiplier * 256 * a >> 32)) >> 12 of the upper one, (constant + (multiplier * a >> 32)) >> 4
 *             of the lower one, whose start has been chosen so that the bits which that lacks do not matter
 *     bit 31: signed, (constant - (a < 0) + round(multiplier * 2 * a / 2^32)) >> shift; bits 0-6 are the upper one's
 *             shift, bits 8-15 the lower one's
 *     bit 7: there is no upper channel; the lower one is signed
 */
#define TIN_DSP_OTHERS 7 /* words of a pair beside its weights */
#define TIN_DSP_LOAD 32
#define TIN_DSP_LOAD_SLIDING 30

/* One block: some pixels, given as words of two taps, times a range of pairs of channels. blocks.S copies this as it
 * lies here. */
typedef struct tin_dsp_block {
    const uint32_t *x_last; /* where the last load of several begins */
    const int32_t *stream;
    int8_t *out;
    int32_t at1, at_last; /* bytes from pixel 0's outputs to those of pixel 1 and of the last; of four, pixel 2 lies at
                           * twice at1 */
    const int8_t *out_end; /* of pixel 0 */
    int32_t first;         /* words of a pair's only load, behind its first one; 33 if there are several; sliding: words
                            * of the first load, and there are several */
    const uint32_t *x;     /* a word a pixel and step; sliding: of six columns a word each for three steps */
    int32_t rest;          /* words of the first load of several */
} tin_dsp_block;

void tin_dsp_block4(const tin_dsp_block *block);
void tin_dsp_block3(const tin_dsp_block *block);
void tin_dsp_block2(const tin_dsp_block *block);
void tin_dsp_block4_slide(const tin_dsp_block *block);

/* Rows of taps of some pixels. windows.S reads this as it lies here. */
typedef struct tin_dsp_windows {
    const int8_t *from[4];
    int32_t step[4]; /* bytes from the end of a row to the next one */
    int32_t rows;
    int32_t whole, rest; /* bytes of a row, a multiple of 4 and what is left */
} tin_dsp_windows;

/* Unpacks the taps of all pixels to words of two, and returns the end. */
uint32_t *tin_dsp_windows4(uint32_t *to, const tin_dsp_windows *windows);
uint32_t *tin_dsp_windows3(uint32_t *to, const tin_dsp_windows *windows);
uint32_t *tin_dsp_windows2(uint32_t *to, const tin_dsp_windows *windows);

/* The same for four pixels one behind the other, each of a multiple of four channels. */
void tin_dsp_pixels4(uint32_t *to, const int8_t *from, int32_t bytes);

/* The same for rows of nine taps of four pixels `across` bytes apart; of the windows, only rows and step[0] matter. */
uint32_t *tin_dsp_nines4(uint32_t *to, const int8_t *from, int32_t across, const tin_dsp_windows *windows);

/* Rows of six neighbouring columns. neighbours.S reads this as it lies here. */
typedef struct tin_dsp_columns {
    const int8_t *from;
    int32_t bytes; /* of a column, a multiple of 4 */
    int32_t step;  /* bytes from the end of column 0 to the next row's */
    int32_t rows;
} tin_dsp_columns;

/* Unpacks the taps of all columns to words of two, and returns the end. */
uint32_t *tin_dsp_six_columns(uint32_t *to, const tin_dsp_columns *columns);

#ifdef __cplusplus
}
#endif
#endif /* TIN_DSP_H */
