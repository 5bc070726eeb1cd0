/* Sums of pixels that are kept from row to row, a sum for each channel, in one of three forms:
 *
 * packed  two sums of 16 bits a word: even channels of a quad in the first word, odd ones in the second. Bytes are
 *         made positive by adding 128, so that 257 of them fit. For multiples of four channels, which begin at
 *         addresses that are multiples of four. Little endian.
 * narrow  int16_t, for up to 256 values
 * wide    int32_t
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_SUMS_H
#define TIN_SUMS_H

#include <stdint.h>

#if defined(__GNUC__)
#define TIN_SUMS_APART __attribute__((noinline, unused)) /* a loop that needs all registers for itself */
#else
#define TIN_SUMS_APART
#endif

enum { TIN_SUMS_PACKED, TIN_SUMS_NARROW, TIN_SUMS_WIDE };

/* A sum as it is kept: the packed form is 128 too high for each of the values. */
static inline int32_t tin_sum(const void *sums, int32_t form, int32_t index)
{
    if (form == TIN_SUMS_WIDE) return ((const int32_t *)sums)[index];
    if (form == TIN_SUMS_NARROW) return ((const int16_t *)sums)[index];
    const uint32_t pair = ((const uint32_t *)sums)[(index >> 2) * 2 + (index & 1)];
    return (int32_t)(index & 2 ? pair >> 16 : pair & 0xffffu);
}

/* Adds pixels of `channels` values each, which lie one behind the other, to packed sums. The first pixels of all begin
 * the sums. */
static TIN_SUMS_APART void tin_add_packed(void *sums, int32_t first, const int8_t *x, int32_t pixels, int32_t channels)
{
    const uint32_t evens = 0x00ff00ffu, signs = 0x80808080u;
    uint32_t *s = sums;
    for (const int8_t *const end = x + channels; x != end; x += 4, s += 2) {
        uint32_t even = 0, odd = 0;
        if (!first) {
            even = s[0];
            odd = s[1];
        }
        const int8_t *v = x;
        for (int32_t left = pixels; left > 0; left--, v += channels) {
            const uint32_t four = *(const uint32_t *)(const void *)v ^ signs;
            even += four & evens;
            odd += four >> 8 & evens;
        }
        s[0] = even;
        s[1] = odd;
    }
}

/* Adds to a narrow or wide sum, or begins it. */
static inline void tin_add_to(void *sums, int32_t form, int32_t first, int32_t index, int32_t value)
{
    const int32_t sum = first ? value : value + tin_sum(sums, form, index);
    if (form == TIN_SUMS_WIDE)
        ((int32_t *)sums)[index] = sum;
    else
        ((int16_t *)sums)[index] = (int16_t)sum;
}

/* The same for narrow and wide sums: four channels stay in registers for as long as the row lasts. */
static TIN_SUMS_APART void tin_add_plain(void *sums, int32_t form, int32_t first, const int8_t *x, int32_t pixels,
                                         int32_t channels)
{
    int32_t c = 0;
    for (; c + 4 <= channels; c += 4) {
        const int8_t *v = x + c;
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (int32_t left = pixels; left > 0; left--, v += channels) {
            s0 += v[0];
            s1 += v[1];
            s2 += v[2];
            s3 += v[3];
        }
        tin_add_to(sums, form, first, c, s0);
        tin_add_to(sums, form, first, c + 1, s1);
        tin_add_to(sums, form, first, c + 2, s2);
        tin_add_to(sums, form, first, c + 3, s3);
    }
    for (; c < channels; c++) {
        const int8_t *v = x + c;
        int32_t s = 0;
        for (int32_t left = pixels; left > 0; left--, v += channels) s += *v;
        tin_add_to(sums, form, first, c, s);
    }
}

#endif /* TIN_SUMS_H */
