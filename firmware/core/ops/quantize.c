/* QUANTIZE from float32 to bytes: round(x / scale) + zero point, saturated; NaN becomes the zero point.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"

#define FAR 1048576.0f /* beyond this, every zero point saturates; well inside what an int32 can hold */

static int32_t round_half_away(float x)
{
    if (!(x > -FAR)) return x <= -FAR ? (int32_t)-FAR : 0;
    if (x > FAR) return (int32_t)FAR;
    const int32_t whole = (int32_t)x; /* towards zero; the rest below is exact */
    const float rest = x - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

TIN_KERNEL void tin_quantize(const tin_quantize_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const float *in = (const float *)(const void *)tin_row(&p->in, arena, row);
        uint8_t *out = tin_row_out(&p->out, arena, row);
        for (int32_t i = 0; i < p->row_elements; i++)
            out[i] = (uint8_t)tin_clamp(round_half_away(in[i] / p->scale) + p->zero, p->low, p->high);
    }
}
