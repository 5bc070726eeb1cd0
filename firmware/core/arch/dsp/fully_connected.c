/* FULLY_CONNECTED, int8, for cores with the DSP extension: four channels at a time (dense.S).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_dsp_dense.h"
#include "tin_math.h"
#include "tin_ops.h"

#define DENSE_PART 480 /* taps whose sums fit 23 bits, whatever the weights and inputs are */

/* A row whose sums need more than 23 bits, or whose scales are odd: parts are added up, and scaled in plain C. */
static TIN_DSP_RARE void dense_wide_row(const tin_fully_connected_dsp_params *p, const int8_t *x, int8_t *out)
{
    static const int32_t none[4] = { 0, 0, 0, 0 };
    tin_dsp_dense_args d = { p->weights, none, NULL, 0, NULL, NULL, x, x, x, NULL };
    for (int32_t c = 0; c < p->out_c; c += 4) {
        int32_t sums[4], raw[4];
        uint32_t tail;
        for (int32_t i = 0; i < 4; i++) sums[i] = p->biases[c + (i ^ 1)]; /* the upper one of a pair comes first */
        d.out = (int8_t *)raw;
        for (int32_t k = 0; k < p->in_c; k += DENSE_PART) {
            const int32_t count = tin_min(DENSE_PART, p->in_c - k);
            tin_dsp_dense_input(&d, x + k, count, &tail);
            tin_dsp_dense(&d);
            d.weights += (count + 3) & ~3;
            for (int32_t i = 0; i < 4; i += 2) {
                sums[i] = tin_add_wrap(sums[i], raw[i + 1]);
                sums[i + 1] = tin_add_wrap(sums[i + 1], (int32_t)((uint32_t)raw[i] - (uint32_t)raw[i + 1]) >> 8);
            }
        }
        for (int32_t i = 0; i < 4 && c + i < p->out_c; i++) {
            const int32_t *scale = p->scales + (c + i) / 2 * (p->scale_step / 4) + (i & 1 ? 0 : 3);
            const int32_t y = tin_requantize(sums[i], scale[0], scale[1]) + p->out_zero;
            *out++ = (int8_t)tin_clamp(y, INT8_MIN, INT8_MAX);
        }
    }
}

TIN_KERNEL void tin_fully_connected_dsp(const tin_fully_connected_dsp_params *p, uint8_t *arena, int32_t row,
                                        int32_t end)
{
    const tin_dsp_dense_layer layer = { p->weights, p->biases, p->scales, p->scale_step, p->in_c, p->out_c };
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int8_t *x = (const int8_t *)tin_row(&p->in, arena, row);
        if (p->wide)
            dense_wide_row(p, x, out);
        else
            tin_dsp_dense_row(&layer, x, out);
        if (p->low > INT8_MIN || p->high < INT8_MAX)
            for (int32_t i = 0; i < p->out_c; i++) out[i] = (int8_t)tin_clamp(out[i], p->low, p->high);
    }
}
