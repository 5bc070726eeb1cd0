/* What the kernels for cores with integer vectors (Helium) share: copying and requantization.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_MVE_H
#define TIN_MVE_H

#include <arm_mve.h>
#include <stdint.h>

#define TIN_MVE_INLINE static inline __attribute__((always_inline))

/* Copies `bytes`, and no byte more; returns the end. */
TIN_MVE_INLINE int8_t *tin_mve_copy(int8_t *to, const int8_t *from, int32_t bytes)
{
    int8_t *at = to;
    __asm__ volatile("wlstp.8 lr, %[bytes], 2f\n"
                     "1:\n\t"
                     "vldrb.8 q0, [%[from]], #16\n\t"
                     "vstrb.8 q0, [%[at]], #16\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [at] "+r"(at), [from] "+r"(from)
                     : [bytes] "r"(bytes)
                     : "lr", "q0", "memory");
    return to + bytes;
}

/* Copies the lanes `there` of `count` vectors that lie `step` bytes apart; the others become 0. Returns the end. */
TIN_MVE_INLINE int8_t *tin_mve_collect(int8_t *to, const int8_t *from, int32_t step, int32_t count, uint32_t there)
{
    __asm__ volatile("vmsr p0, %[there]\n\t"
                     "wls lr, %[count], 2f\n"
                     "1:\n\t"
                     "vpst\n\t"
                     "vldrbt.8 q0, [%[from]]\n\t"
                     "add %[from], %[from], %[step]\n\t"
                     "vstrb.8 q0, [%[to]], #16\n\t"
                     "le lr, 1b\n"
                     "2:"
                     : [to] "+r"(to), [from] "+r"(from)
                     : [step] "r"(step), [count] "r"(count), [there] "r"(there)
                     : "lr", "q0", "memory");
    return to;
}

/* x * 2^-right, rounded half away from zero; `minus_right` is not positive. VRSHL rounds half up, which takes one from
 * negative numbers to be the same, but where nothing is shifted out. */
TIN_MVE_INLINE int32x4_t tin_mve_rounding_shift(int32x4_t x, int32x4_t minus_right)
{
    const int32x4_t below_zero = vshrq_n_s32(vandq_s32(x, minus_right), 31);
    return vrshlq_s32(vqaddq_s32(x, below_zero), minus_right);
}

/* tin_requantize on four accumulators with scales of their own. */
TIN_MVE_INLINE int32x4_t tin_mve_requantize(int32x4_t x, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t zero = vdupq_n_s32(0);
    x = vqrdmulhq_s32(vshlq_s32(x, vmaxq_s32(shift, zero)), multiplier);
    return tin_mve_rounding_shift(x, vminq_s32(shift, zero));
}

#endif /* TIN_MVE_H */
