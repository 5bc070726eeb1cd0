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

#define TIN_DSP_ENTRY 8 /* words of a pair of channels in a table of scales */

/* One block: some pixels, given as words of two taps, times a range of pairs of channels. matrix.S copies this as it
 * lies here. */
typedef struct tin_dsp_block {
    const int32_t *weights; /* a word a step and pair: lanes of 256 * w1 + w0 */
    int32_t first;          /* words of a pair's first load, behind its first one; all further loads have one more */
    const int32_t *table;   /* F, S at the start; multiplier, constant, shift of the upper, then of the lower channel;
                           * bit 31 of the upper shift: signed, bit 30: there is no upper channel */
    const uint32_t *x;      /* a word a pixel and step */
    const uint32_t *x_end;
    const int8_t *out_end; /* of pixel 0 */
    int8_t *out;
    int32_t at1, at2, at3; /* bytes from pixel 0's outputs to those of the others; of four pixels, at2 is twice at1 */
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
