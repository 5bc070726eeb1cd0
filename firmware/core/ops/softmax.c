/* SOFTMAX along the last dimension, int8, in fixed point; exponentials come from a table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"

#define ACCUMULATOR_BITS 12 /* integer bits of the sum of exponentials */

/* 1 / (1 + a) for a in [0, 1), Q31: three Newton-Raphson steps from a linear first guess. */
static int32_t reciprocal_one_plus(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = tin_add_wrap(1515870810, tin_doubling_high_mul(half, -1010580540)); /* 48/17, -32/17, Q29 */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t residue = (1 << 29) - tin_doubling_high_mul(half, x);
        x = tin_add_wrap(x, tin_doubling_high_mul(x, residue) * 4);
    }
    return x >= 1 << 30 ? INT32_MAX : x * 2;
}

static void softmax(const tin_softmax_params *p, const int8_t *in, int8_t *out)
{
    int32_t most = INT8_MIN, sum = 0, headroom = 0;
    for (int32_t i = 0; i < p->depth; i++) most = tin_max(most, in[i]);
    for (int32_t i = 0; i < p->depth; i++)
        if (most - in[i] < p->table_size)
            sum += tin_rounding_shift(p->exponentials[most - in[i]], ACCUMULATOR_BITS);
    while (sum < (1 << 30) && headroom < 31) { /* sum is 1 in this format or more, so this ends */
        sum *= 2;
        headroom++;
    }
    /* Now 2^30 <= sum < 2^31; its leading bit shifted out, the rest is a fraction. */
    const int32_t scale = reciprocal_one_plus((int32_t)((uint32_t)sum * 2u - 0x80000000u));
    const int32_t exponent = ACCUMULATOR_BITS - (headroom + 1) + 31 - 8;
    for (int32_t i = 0; i < p->depth; i++) {
        const int32_t difference = most - in[i];
        int32_t y = INT8_MIN;
        if (difference < p->table_size && exponent < 32) /* from a sum of 512 on, every quotient rounds to 0 */
            y += tin_rounding_shift(tin_doubling_high_mul(scale, p->exponentials[difference]), exponent);
        out[i] = (int8_t)tin_clamp(y, INT8_MIN, INT8_MAX);
    }
}

TIN_KERNEL void tin_softmax(const tin_softmax_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const int8_t *in = (const int8_t *)tin_row(&p->in, arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        for (int32_t i = 0; i < p->groups; i++, in += p->depth, out += p->depth) softmax(p, in, out);
    }
}
