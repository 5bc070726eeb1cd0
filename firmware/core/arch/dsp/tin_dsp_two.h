/* Two pixels times some channels, for cores with the DSP extension (two_pixels.S).
 *
 * Sums are F and S of the first pixel, then of the second, for each pair of channels, and pairs come in twos.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DSP_TWO_H
#define TIN_DSP_TWO_H

#include <stdint.h>

/* Copies rows of words of both pixels in turn, the second `apart` bytes behind the first, and returns the end. */
uint32_t *tin_dsp_two_taps(uint32_t *to, const int8_t *from, int32_t apart, int32_t words, int32_t rows,
                           int32_t stride);

/* Sums are what `start` holds and words from x to x_end, times the weights, whose end is returned. */
const int32_t *tin_dsp_two_pixels(const int32_t *weights, const uint32_t *x, const uint32_t *x_end,
                                  const int32_t *start, int32_t *sums, int32_t *sums_end);

/* two_pixels.S reads this as it lies here. */
typedef struct tin_dsp_two_args {
    const int32_t *sums;
    const int32_t *scales; /* of two channels */
    int8_t *out;
    int32_t scale_step; /* bytes to those of the next two; 0: all are the same */
    int32_t apart;      /* bytes from the first pixel's outputs to the second's */
    int32_t channels;
} tin_dsp_two_args;

/* The outputs of all sums. */
void tin_dsp_two_results(const tin_dsp_two_args *results);

#endif /* TIN_DSP_TWO_H */
