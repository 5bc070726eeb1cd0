/* Sums of pixels that are kept between rows: of 32 bits, or of 16 where no more than 256 bytes are added up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_SUMS_H
#define TIN_SUMS_H

#include <stdint.h>

static inline int32_t tin_sum(const uint8_t *sums, int32_t wide, int32_t index)
{
    return wide ? ((const int32_t *)(const void *)sums)[index] : ((const int16_t *)(const void *)sums)[index];
}

static inline void tin_set_sum(uint8_t *sums, int32_t wide, int32_t index, int32_t value)
{
    if (wide)
        ((int32_t *)(void *)sums)[index] = value;
    else
        ((int16_t *)(void *)sums)[index] = (int16_t)value;
}

/* Adds pixels of `channels` values each, which lie one behind the other, to a sum for each channel. The first
 * pixels of all begin the sums. Four channels at a time stay in registers for as long as the row lasts. */
static inline void tin_add_pixels(uint8_t *sums, int32_t wide, int32_t first, const int8_t *x, int32_t pixels,
                                  int32_t channels)
{
    int32_t c = 0;
    for (; c + 4 <= channels; c += 4) {
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        if (!first) {
            s0 = tin_sum(sums, wide, c);
            s1 = tin_sum(sums, wide, c + 1);
            s2 = tin_sum(sums, wide, c + 2);
            s3 = tin_sum(sums, wide, c + 3);
        }
        const int8_t *v = x + c;
        for (int32_t left = pixels; left > 0; left--, v += channels) {
            s0 += v[0];
            s1 += v[1];
            s2 += v[2];
            s3 += v[3];
        }
        tin_set_sum(sums, wide, c, s0);
        tin_set_sum(sums, wide, c + 1, s1);
        tin_set_sum(sums, wide, c + 2, s2);
        tin_set_sum(sums, wide, c + 3, s3);
    }
    for (; c < channels; c++) {
        int32_t s = first ? 0 : tin_sum(sums, wide, c);
        const int8_t *v = x + c;
        for (int32_t left = pixels; left > 0; left--, v += channels) s += *v;
        tin_set_sum(sums, wide, c, s);
    }
}

#endif /* TIN_SUMS_H */
