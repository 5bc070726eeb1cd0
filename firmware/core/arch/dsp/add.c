/* ADD, int8, for cores with the DSP extension: one sum of two products where constants for it were found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_dsp.h"
#include "tin_math.h"
#include "tin_ops.h"

#define LEFT_SHIFT 20

void tin_dsp_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t count, const int32_t constants[3]);

/* The linear form for any layout; products are floored one by one, as SMLAW does. */
static void add_linear(const tin_add_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t from)
{
    const int32_t *k = p->constants;
    for (int32_t i = from; i < p->inner; i++) {
        const int32_t sum = (int32_t)((int64_t)k[0] * (a[i * p->a_inner] * 256) >> 16) +
                            (int32_t)((int64_t)k[1] * (b[i * p->b_inner] * 256) >> 16) + k[2];
        out[i] = (int8_t)tin_clamp((sum >> 16) - 128, INT8_MIN, INT8_MAX);
    }
}

static inline int32_t add_scaled(int32_t centred, int32_t multiplier, int32_t shift)
{
    return tin_rounding_shift(tin_doubling_high_mul(centred * (1 << LEFT_SHIFT), multiplier), -shift);
}

/* The sum as it is defined. */
static TIN_DSP_RARE void add_plain(const tin_add_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = 0; i < p->inner; i++, a += p->a_inner, b += p->b_inner) {
        const int32_t sum = add_scaled(*a - p->a_zero, p->a_multiplier, p->a_shift) +
                            add_scaled(*b - p->b_zero, p->b_multiplier, p->b_shift);
        const int32_t y = tin_requantize(sum, p->out_multiplier, p->out_shift) + p->out_zero;
        out[i] = (int8_t)tin_clamp(y, INT8_MIN, INT8_MAX);
    }
}

static void add_run(const tin_add_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int aligned = (((uintptr_t)a | (uintptr_t)b | (uintptr_t)out) & 3u) == 0;
    const int32_t fast = aligned && p->a_inner == 1 && p->b_inner == 1 ? p->inner & ~7 : 0;
    if (!p->linear) {
        add_plain(p, a, b, out);
    } else {
        if (fast) tin_dsp_add(a, b, out, fast, p->constants);
        add_linear(p, a, b, out, fast);
    }
    if (p->low > INT8_MIN || p->high < INT8_MAX)
        for (int32_t i = 0; i < p->inner; i++) out[i] = (int8_t)tin_clamp(out[i], p->low, p->high);
}

TIN_KERNEL void tin_add_dsp(const tin_add_dsp_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const int8_t *a = (const int8_t *)tin_row(&p->in[0], arena, row);
        const int8_t *b = (const int8_t *)tin_row(&p->in[1], arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        for (int32_t i = 0; i < p->outer; i++, a += p->a_outer, b += p->b_outer, out += p->inner) add_run(p, a, b, out);
    }
}
