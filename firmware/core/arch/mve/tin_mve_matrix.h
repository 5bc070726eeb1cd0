/* Three windows times pairs of channels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_MVE_MATRIX_H
#define TIN_MVE_MATRIX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TIN_MVE_PIXELS 3 /* windows at a time */
#define TIN_MVE_PAIR 6   /* words of a pair of channels in a table of scales */

/* matrix.S reads this as it lies here. */
typedef struct tin_mve_block {
    const int8_t *x[TIN_MVE_PIXELS]; /* windows: `bytes` neighbours each */
    int32_t advance;                 /* from behind the first channel's weights, rounded up to 16, to the next pair */
    int8_t *out;                     /* channels of the first pixel */
    const int8_t *end;               /* of them; there are two at least */
    int32_t zero;                    /* the output's zero point */
    int32_t unused;
    int32_t low[4], high[4];         /* limits of outputs, four times */
    uint32_t at[4];                  /* bytes from the first pixel's outputs to those of the three, the last twice */
    const int8_t *weights;           /* [channels][bytes] */
    int32_t bytes;
    const int32_t *scales;           /* a pair's biases; multiplier and shift of the first, of the second */
} tin_mve_block;

void tin_mve_matrix(const tin_mve_block *block);

/* The same where results up to 0 do not matter, as with a fused ReLU, and no shift is positive. */
void tin_mve_matrix_relu(const tin_mve_block *block);

#ifdef __cplusplus
}
#endif
#endif /* TIN_MVE_MATRIX_H */
