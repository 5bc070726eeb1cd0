/* ADD, int8: both inputs are brought to one scale with 20 bits of headroom.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"

#define LEFT_SHIFT 20

static inline int32_t scaled(int32_t centred, int32_t multiplier, int32_t shift)
{
    return tin_rounding_shift(tin_doubling_high_mul(centred * (1 << LEFT_SHIFT), multiplier), -shift);
}

TIN_KERNEL void tin_add(const tin_add_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const int8_t *a_row = (const int8_t *)tin_row(&p->in[0], arena, row);
        const int8_t *b_row = (const int8_t *)tin_row(&p->in[1], arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        for (int32_t i = 0; i < p->outer; i++, a_row += p->a_outer, b_row += p->b_outer) {
            const int8_t *a = a_row, *b = b_row;
            for (int32_t j = 0; j < p->inner; j++, a += p->a_inner, b += p->b_inner) {
                const int32_t sum = scaled(*a - p->a_zero, p->a_multiplier, p->a_shift) +
                                    scaled(*b - p->b_zero, p->b_multiplier, p->b_shift);
                const int32_t y = tin_requantize(sum, p->out_multiplier, p->out_shift) + p->out_zero;
                *out++ = (int8_t)tin_clamp(y, p->low, p->high);
            }
        }
    }
}
