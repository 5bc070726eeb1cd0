/* What the kernels for plain 32-bit cores share: three values in two words, and requantization by the high half of
 * one product.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_WORD_H
#define TIN_WORD_H

#include <stddef.h>

#include "tin_math.h"
#include "tin_patches.h"

/* Keeps values in registers at this point, and loads from moving across it: left alone, the compiler gathers the loads
 * of a whole block and spills. Changes no result. */
#if defined(__GNUC__)
#define TIN_KEEP1(a) __asm__ volatile("" : "+r"(a))
#define TIN_KEEP2(a, b) __asm__ volatile("" : "+r"(a), "+r"(b))
#define TIN_KEEP3(a, b, c) __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c))
#define TIN_KEEP4(a, b, c, d) __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d) : : "memory")
#define TIN_APART __attribute__((noinline)) /* a loop that needs all registers for itself */
#else
#define TIN_APART
#define TIN_KEEP1(a) ((void)0)
#define TIN_KEEP2(a, b) ((void)0)
#define TIN_KEEP3(a, b, c) ((void)0)
#define TIN_KEEP4(a, b, c, d) ((void)0)
#endif

/* -- Three lanes -----------------------------------------------------------------------------------
 *
 * Three bytes p, q, r become X = p + (q << 21) and Y = r + (q << 10), modulo 2^32. Sums of w * X and w * Y then hold
 * three dot products: as long as each is below 2^20 in size, P is the low 21 bits of the first sum, the rest of that
 * is Q modulo 2^11; with it Y's sum comes apart into R (low 21 bits) and the upper bits of Q. The starts make P and R
 * (and Q's upper part) positive, so that nothing is borrowed between lanes. */
#define TIN_LANE_X (1u << 20)
#define TIN_LANE_Y ((1u << 20) + (1u << 30))
#define TIN_LANE_START ((uint32_t)1 << 28) /* what each of the results below holds too much */
#define TIN_SUM_SHIFT 8

/* The three sums, each 256 * (sum + 2^20) modulo 2^32. */
TIN_INLINE void tin_unpack3(uint32_t x, uint32_t y, uint32_t *p, uint32_t *q, uint32_t *r)
{
    const uint32_t low = x >> 21, rest = y - (low << 10);
    *p = (x << 11) >> 3;
    *r = (rest << 11) >> 3;
    *q = (low << 8) + ((rest >> 21) << 19);
}

/* -- Requantization ----------------------------------------------------------------------------------
 *
 * tools/tinsmith/arch/word/_scales.py finds the constants and proves them. A record is (offset, m), or
 * (offset, m, zero, drop) in a kinked layer; m = 0 marks a channel that has none, whose offset is the index of its
 * (bias, multiplier, shift) in the same array. Where all channels share the rest, records are offsets, and
 * (m, zero, drop) stand behind them. */
typedef struct tin_scale {
    const int32_t *records;
    int32_t words, low, out_zero;
    uint32_t steps; /* outputs above `low` */
} tin_scale;

#define TIN_SCALE(p) { (p)->scales, (p)->scale_words, (p)->low, (p)->out_zero, (uint32_t)(p)->steps }

/* One output, from 256 times the accumulator plus the channel's offset. */
TIN_INLINE int32_t tin_scale_line(uint32_t a, int32_t m, int32_t low, uint32_t steps)
{
    int32_t y = (int32_t)(((int64_t)(int32_t)a * m) >> 32) >> (m & 31);
    if ((uint32_t)y > steps) y = ~(y >> 31) & (int32_t)steps; /* 0 if negative */
    return y + low;
}

/* Where accumulators below zero lie on a lower line: `zero` is what an accumulator of 0 has become. */
TIN_INLINE uint32_t tin_below(uint32_t a, int32_t zero, uint32_t drop)
{
    return (int32_t)a < zero ? a - drop : a;
}

/* As the portable kernels do it: for channels that have no line. */
static TIN_APART int8_t tin_scale_exact(const tin_scale *scale, const int32_t *record, int32_t sum)
{
    const int32_t *constants = scale->records + record[0];
    const int32_t acc = tin_add_wrap(sum, constants[0]);
    const int32_t y = tin_requantize(acc, constants[1], constants[2]) + scale->out_zero;
    return (int8_t)tin_clamp(y, scale->low, scale->low + (int32_t)scale->steps);
}

/* The output of channel c from the sum of its products, by whichever kind of record it has. */
TIN_INLINE int32_t tin_scale_one(const tin_scale *scale, int32_t c, int32_t sum)
{
    const int32_t *record = scale->records + c * scale->words;
    uint32_t a = ((uint32_t)sum << TIN_SUM_SHIFT) + (uint32_t)record[0];
    if (record[1] == 0) return tin_scale_exact(scale, record, sum);
    if (scale->words == 4) a = tin_below(a, record[2], (uint32_t)record[3]);
    return tin_scale_line(a, record[1], scale->low, scale->steps);
}

#endif /* TIN_WORD_H */
