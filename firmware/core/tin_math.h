/* Integer arithmetic shared by the kernels: exactly that of TensorFlow Lite (Micro), which rounds
 * twice when it scales an accumulator. tools/tinsmith/fixed.py holds the same in numpy.
 *
 * Relies on an arithmetic right shift of negative numbers, as every supported compiler does it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_MATH_H
#define TIN_MATH_H

#include <stdint.h>

static inline int32_t tin_min(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t tin_max(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t tin_clamp(int32_t x, int32_t low, int32_t high) { return tin_min(tin_max(x, low), high); }

/* Sum and product that wrap: signed overflow would be undefined. */
static inline int32_t tin_add_wrap(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

/* High half of 2*a*b, rounded half up. For a = b = INT32_MIN TFLite saturates; multipliers are
 * never INT32_MIN, so that case is left out. */
static inline int32_t tin_doubling_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^exponent, rounded half away from zero; 0 <= exponent <= 31. */
static inline int32_t tin_rounding_shift(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + ((x & mask) > threshold);
}

/* x * multiplier * 2^(shift - 31); a positive shift is applied first and wraps, as in TFLite. */
static inline int32_t tin_requantize(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift > 0) return tin_doubling_high_mul((int32_t)((uint32_t)x << shift), multiplier);
    return tin_rounding_shift(tin_doubling_high_mul(x, multiplier), -shift);
}

#endif /* TIN_MATH_H */
