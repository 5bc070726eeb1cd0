/* ADD, int8, for 32-bit cores without SIMD: one linear form of both bytes, tried on all pairs when the model was
 * compiled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"
#include "tin_word.h"

TIN_KERNEL void tin_add_word(const tin_add_word_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const int32_t a = p->a, b = p->b, c = p->c, shift = p->shift, low = p->low;
    const uint32_t steps = (uint32_t)(p->high - low);
    for (; row < end; row++) {
        const int8_t *x = (const int8_t *)tin_row(&p->in[0], arena, row);
        const int8_t *z = (const int8_t *)tin_row(&p->in[1], arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        int32_t left = p->count;
#define VALUE(i)                                                                                              \
    do {                                                                                                      \
        int32_t y = ((x[i] * a + z[i] * b + c) >> shift) - low;                                               \
        if ((uint32_t)y > steps) y = ~(y >> 31) & (int32_t)steps; /* 0 if negative */                         \
        out[i] = (int8_t)(y + low);                                                                           \
    } while (0)
        for (; left >= 4; left -= 4, x += 4, z += 4, out += 4) {
            VALUE(0);
            VALUE(1);
            VALUE(2);
            VALUE(3);
        }
        for (; left > 0; left--, x++, z++, out++) VALUE(0);
#undef VALUE
    }
}
