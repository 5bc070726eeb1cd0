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
#define TIN_DSP_OUTLINE __attribute__((noinline))
#else
#define TIN_DSP_RARE
#define TIN_DSP_OUTLINE
#endif

/* Words of a pair of channels in a table: F and S at the start; multiplier, constant, shift of the upper channel, and
 * of the lower one. What matrix.S does with them:
 *
 *     shift of the upper channel 0: fast, (constant + (multiplier * 256 * a >> 32)) >> 12 of both
 *     bit 31: signed, (constant - (a < 0) + round(multiplier * 2 * a / 2^32)) >> shift
 *     bit 30: there is no upper channel; the lower one is signed
 */
#define TIN_DSP_ENTRY 8

/* One block: some pixels, given as words of two taps, times a range of pairs of channels. matrix.S copies this as it
 * lies here. */
typedef struct tin_dsp_block {
    const int32_t *weights; /* a word a step and pair: lanes of 256 * w1 + w0 */
    int32_t first;          /* words of a pair's first load, behind its first one; all further loads have one more */
    const int32_t *table;
    const uint32_t *x; /* a word a pixel and step */
    const uint32_t *x_end;
    int8_t *out;
    int32_t at1, at_last; /* bytes from pixel 0's outputs to those of pixel 1 and of the last; of four, pixel 2 lies at
                           * twice at1 */
    const int8_t *out_end; /* of pixel 0 */
} tin_dsp_block;

void tin_dsp_block4(const tin_dsp_block *block);
void tin_dsp_block3(const tin_dsp_block *block);

/* Rows of taps of some pixels. matrix.S reads this as it lies here. */
typedef struct tin_dsp_windows {
    const int8_t *from[4];
    int32_t step[4]; /* bytes from the end of a row to the next one */
    int32_t rows;
    int32_t whole, rest; /* bytes of a row, a multiple of 4 and what is left */
} tin_dsp_windows;

/* Unpacks the taps of all pixels to words of two, and returns the end. */
uint32_t *tin_dsp_windows4(uint32_t *to, const tin_dsp_windows *windows);
uint32_t *tin_dsp_windows3(uint32_t *to, const tin_dsp_windows *windows);

#ifdef __cplusplus
}
#endif
#endif /* TIN_DSP_H */
