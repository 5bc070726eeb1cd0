/* FULLY_CONNECTED, int8, for cores with integer vectors: four channels at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_mve.h"
#include "tin_ops.h"

#define MVE_CHANNELS 4

/* Four dot products of `bytes` (above 0) with one shared operand: sums[i] += one * four[i]. The loop's last round is
 * predicated: nothing is read behind the operands' ends. It needs nearly all registers, so it is not inlined. */
static __attribute__((noinline)) void mve_dot4(int32_t sums[4], const int8_t *one, const int8_t *const four[4],
                                               int32_t bytes)
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const int8_t *p = four[0], *q = four[1], *r = four[2], *s = four[3];
    __asm__("dlstp.8 lr, %[bytes]\n"
            "1:\n\t"
            "vldrb.8 q0, [%[one]], #16\n\t"
            "vldrb.8 q1, [%[p]], #16\n\t"
            "vmladava.s8 %[a], q0, q1\n\t"
            "vldrb.8 q2, [%[q]], #16\n\t"
            "vmladava.s8 %[b], q0, q2\n\t"
            "vldrb.8 q1, [%[r]], #16\n\t"
            "vmladava.s8 %[c], q0, q1\n\t"
            "vldrb.8 q2, [%[s]], #16\n\t"
            "vmladava.s8 %[d], q0, q2\n\t"
            "letp lr, 1b"
            : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [one] "+r"(one), [p] "+r"(p), [q] "+r"(q),
              [r] "+r"(r), [s] "+r"(s)
            : [bytes] "r"(bytes)
            : "lr", "q0", "q1", "q2", "memory");
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

/* Scales of the channels `there` from c on, or those of the whole layer. */
TIN_MVE_INLINE int32x4_t mve_scales(const int32_t *of, int per_channel, int32_t c, mve_pred16_t there)
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
        const int8_t *w[MVE_CHANNELS];
        for (int32_t c = 0; c < out_c; c += MVE_CHANNELS) {
            w[0] = p->weights + c * in_c;
            /* Channels that do not exist are like the last one, and not stored. */
            for (int32_t i = 1; i < MVE_CHANNELS; i++) w[i] = w[i - 1] + (c + i < out_c ? in_c : 0);
            const mve_pred16_t there = vctp32q((uint32_t)(out_c - c));
            int32_t sums[MVE_CHANNELS] = { 0, 0, 0, 0 };
            mve_dot4(sums, x, w, in_c);
            int32x4_t y = { sums[0], sums[1], sums[2], sums[3] };
            y = vaddq_s32(y, vldrwq_z_s32(p->bias + c, there));
            y = tin_mve_requantize(y, mve_scales(p->multiplier, p->per_channel, c, there),
                                   mve_scales(p->shift, p->per_channel, c, there));
            y = vminq_s32(vmaxq_s32(vaddq_n_s32(y, p->out_zero), low), high);
            vstrbq_p_s32(out + c, y, there);
        }
    }
}
