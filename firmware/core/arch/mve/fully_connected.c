/* FULLY_CONNECTED, int8, for cores with integer vectors: four channels at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_mve.h"
#include "tin_ops.h"

#define CHANNELS 4

/* Scales of the channels `there` from c on, or those of the whole layer. */
TIN_MVE_INLINE int32x4_t scales(const int32_t *of, int per_channel, int32_t c, mve_pred16_t there)
{
    return per_channel ? vldrwq_z_s32(of + c, there) : vdupq_n_s32(of[0]);
}

TIN_KERNEL void tin_fully_connected_mve(const tin_fully_connected_mve_params *p, uint8_t *arena, int32_t row,
                                        int32_t end)
{
    const int32x4_t low = vdupq_n_s32(p->low), high = vdupq_n_s32(p->high);
    const int32_t in_c = p->in_c, out_c = p->out_c;
    for (; row < end; row++) {
        const int8_t *x = (const int8_t *)tin_row(&p->in, arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int8_t *w[CHANNELS] = { p->weights };
        for (int32_t c = 0; c < out_c; c += CHANNELS, w[0] += CHANNELS * in_c) {
            /* Channels that do not exist are like the last one, and not stored. */
            for (int32_t i = 1; i < CHANNELS; i++) w[i] = w[i - 1] + (c + i < out_c ? in_c : 0);
            const mve_pred16_t there = vctp32q((uint32_t)(out_c - c));
            int32_t sums[CHANNELS] = { 0, 0, 0, 0 };
            tin_mve_dot4(sums, x, w, in_c);
            int32x4_t y = { sums[0], sums[1], sums[2], sums[3] };
            y = vaddq_s32(y, vldrwq_z_s32(p->bias + c, there));
            y = tin_mve_requantize(y, scales(p->multiplier, p->per_channel, c, there),
                                   scales(p->shift, p->per_channel, c, there));
            y = vminq_s32(vmaxq_s32(vaddq_n_s32(y, p->out_zero), low), high);
            vstrbq_p_s32(out + c, y, there);
        }
    }
}
