/* Dot products in plain C. Sums wrap, as accumulators of TensorFlow Lite do where biases are extreme.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DOT_H
#define TIN_DOT_H

#include <stdint.h>

static inline uint32_t tin_product(int32_t w, int32_t x) { return (uint32_t)(w * x); }

/* acc + sum of w[i] * x[i] */
static inline int32_t tin_dot(int32_t acc, const int8_t *w, const int8_t *x, int32_t count)
{
    uint32_t sum = (uint32_t)acc;
    for (; count >= 4; count -= 4, w += 4, x += 4) {
        sum += tin_product(w[0], x[0]);
        sum += tin_product(w[1], x[1]);
        sum += tin_product(w[2], x[2]);
        sum += tin_product(w[3], x[3]);
    }
    for (; count > 0; count--) sum += tin_product(*w++, *x++);
    return (int32_t)sum;
}

/* acc + sum of w[i] * x, for inputs that are all the same, as padding is */
static inline int32_t tin_dot_constant(int32_t acc, const int8_t *w, int32_t x, int32_t count)
{
    uint32_t sum = (uint32_t)acc;
    for (; count > 0; count--) sum += tin_product(*w++, x);
    return (int32_t)sum;
}

#endif /* TIN_DOT_H */
