/* Dot products in plain C.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DOT_H
#define TIN_DOT_H

#include <stdint.h>

/* acc + sum of w[i] * x[i] */
static inline int32_t tin_dot(int32_t acc, const int8_t *w, const int8_t *x, int32_t count)
{
    for (; count >= 4; count -= 4, w += 4, x += 4) {
        acc += w[0] * x[0];
        acc += w[1] * x[1];
        acc += w[2] * x[2];
        acc += w[3] * x[3];
    }
    for (; count > 0; count--) acc += *w++ * *x++;
    return acc;
}

/* acc + sum of w[i] * x, for inputs that are all the same, as padding is */
static inline int32_t tin_dot_constant(int32_t acc, const int8_t *w, int32_t x, int32_t count)
{
    for (; count > 0; count--) acc += *w++ * x;
    return acc;
}

#endif /* TIN_DOT_H */
