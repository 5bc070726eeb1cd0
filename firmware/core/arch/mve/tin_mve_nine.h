/* Depthwise windows of three by three, sixteen channels at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_MVE_NINE_H
#define TIN_MVE_NINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Neighbouring pixels of a row and a group of channels. depthwise_nine.S reads this as it lies here. */
typedef struct tin_mve_nine_block {
    const int8_t *x;           /* the first window in a copy of input rows, 16 bytes a column */
    int32_t row;               /* bytes from one row of the copy to the next */
    int32_t step;              /* bytes from one window to the next */
    const int8_t *middle;      /* of the weights [9][16]: those of tap 4 */
    const int8_t *shift;       /* [4][4], none positive */
    const int32_t *bias;       /* [4][4], as the sums lie */
    const int32_t *multiplier; /* [4][4] */
    int32_t unused;
    int8_t *out;
    int32_t out_step;          /* bytes from one pixel to the next */
    int32_t count;             /* pixels, above 0 */
    uint32_t there;            /* a bit a channel that exists */
    int32_t zero;              /* the output's zero point */
    int8_t low[16], high[16];
} tin_mve_nine_block;

void tin_mve_nine(const tin_mve_nine_block *block);

/* The same where results up to 0 do not matter, as with a fused ReLU. */
void tin_mve_nine_relu(const tin_mve_nine_block *block);

#ifdef __cplusplus
}
#endif
#endif /* TIN_MVE_NINE_H */
