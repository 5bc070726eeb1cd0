/* Two pixels times some channels of a convolution, a few taps at a time, for cores with the DSP extension. Channels
 * share words in pairs as blocks.S explains; taps are unpacked on the way, and sums wait in memory for the next taps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

/* uint32_t *tin_dsp_two_taps(uint32_t *to, const int8_t *from, int32_t apart, int32_t words, int32_t rows,
 *                            int32_t stride);
 *     r0 to    r1 from    r2 apart    r3 words    r4 rows    r5 bytes from the end of a row to the next
 *     r6, r7 x of both pixels    r12 words left
 */
    .section .text.tin_dsp_two_taps, "ax", %progbits
    .global tin_dsp_two_taps
    .type   tin_dsp_two_taps, %function
    .thumb_func
tin_dsp_two_taps:
    push    {r4-r7}
    ldrd    r4, r5, [sp, #16]
    sub     r5, r5, r3, lsl #2
.Lrow:
    mov     r12, r3
.Lword:
    ldr     r7, [r1, r2]
    ldr     r6, [r1], #4
    strd    r6, r7, [r0], #8
    subs    r12, r12, #1
    bne     .Lword
    add     r1, r1, r5
    subs    r4, r4, #1
    bne     .Lrow
    pop     {r4-r7}
    bx      lr
    .size   tin_dsp_two_taps, . - tin_dsp_two_taps

/* const int32_t *tin_dsp_two_pixels(const int32_t *weights, const uint32_t *x, const uint32_t *x_end,
 *                                   const int32_t *start, int32_t *sums, int32_t *sums_end);
 *     r0 weights    r1 x    r2, r3 x of both pixels    r12, lr weight words of channels 0 and 1, 2 and 3
 *     r4, r5 F, S of channels 0 and 1 and the first pixel    r6, r7 the second pixel's    r8-r11 of channels 2 and 3
 */
    .equ X, 0                       /* in the frame */
    .equ X_END, 4
    .equ START, 8
    .equ FRAME, 12
    .equ SUMS, 48                   /* behind the frame and nine registers: sums and their end */

/* Two taps, unpacked to r2 and r3, of four channels. */
.macro products
    ldm     r0!, {r12, lr}
    smlad   r4, r12, r2, r4
    smlad   r6, r12, r3, r6
    smlad   r8, lr, r2, r8
    smlad   r10, lr, r3, r10
    sxtb16  r12, r12
    sxtb16  lr, lr
    smlad   r5, r12, r2, r5
    smlad   r7, r12, r3, r7
    smlad   r9, lr, r2, r9
    smlad   r11, lr, r3, r11
.endm

/* Four taps, a word of each pixel: taps 0 and 2, then 1 and 3. */
.macro taps
    ldrd    r2, r3, [r1]
    sxtb16  r2, r2
    sxtb16  r3, r3
    products
    ldrd    r2, r3, [r1], #8
    sxtb16  r2, r2, ror #8
    sxtb16  r3, r3, ror #8
    products
.endm

    .section .text.tin_dsp_two_pixels, "ax", %progbits
    .global tin_dsp_two_pixels
    .type   tin_dsp_two_pixels, %function
    .thumb_func
tin_dsp_two_pixels:
    push    {r4-r11, lr}
    push    {r1-r3}                 /* the frame */
.Lquad:
    ldm     r3!, {r4-r11}
    str     r3, [sp, #START]
    subs    r2, r2, r1
    lsls    r2, r2, #28             /* bit 3: is the number of words odd? */
    bmi     .Lodd
.Ltwo:
    taps
.Lodd:
    taps
    ldr     r12, [sp, #X_END]
    cmp     r1, r12
    bne     .Ltwo
    ldrd    r2, r3, [sp, #SUMS]
    stm     r2!, {r4-r11}
    str     r2, [sp, #SUMS]
    cmp     r2, r3
    ldm     sp, {r1-r3}
    bne     .Lquad
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .size   tin_dsp_two_pixels, . - tin_dsp_two_pixels

/* void tin_dsp_two_results(const tin_dsp_two_args *results);
 *
 *     r0 sums    r1 scales    r2 out    r3 channels left    r4, r5 F, S of the first pixel    r6, r7 of the second
 *     r8-r10 multiplier, constant, shift of the upper channel    r11, r12, lr of the lower one: see tin_dsp.h
 */
    .equ UPPER_SHIFT, 12            /* as in _requant.py */
    .equ LOWER_SHIFT, 4

    .equ SCALE_STEP, 0              /* in the frame */
    .equ APART, 4
    .equ LEFT, 8

/* Where negative accumulators take one off the constant; r3 is changed. */
.macro signed to, multiplier, constant, shift
    add     r3, \constant, \to, asr #31
    smmlar  \to, \to, \multiplier, r3
    asr     \to, \to, \shift
    ssat    \to, #8, \to
.endm

    .section .text.tin_dsp_two_results, "ax", %progbits
    .global tin_dsp_two_results
    .type   tin_dsp_two_results, %function
    .thumb_func
tin_dsp_two_results:
    push    {r4-r11, lr}
    ldm     r0, {r0-r5}
    push    {r3-r5}                 /* the frame */
    mov     r3, r5
.Lpair:
    ldm     r0!, {r4-r7}
    ldm     r1, {r8-r12, lr}
    sub     r4, r4, r5
    sub     r6, r6, r7
    cmp     r10, #0
    bmi     .Lsigned
    smmla   r4, r4, r8, r9
    smmla   r6, r6, r8, r9
    smmla   r5, r5, r11, r12
    smmla   r7, r7, r11, r12
    ssat    r4, #8, r4, asr #UPPER_SHIFT
    ssat    r6, #8, r6, asr #UPPER_SHIFT
    ssat    r5, #8, r5, asr #LOWER_SHIFT
    ssat    r7, #8, r7, asr #LOWER_SHIFT
.Lscaled:
    ldrd    r8, r9, [sp, #SCALE_STEP]
    subs    r3, r3, #2
    bmi     .Lalone
    bfi     r5, r4, #8, #8
    bfi     r7, r6, #8, #8
    strh    r7, [r2, r9]
    strh    r5, [r2], #2
    add     r1, r1, r8
    bne     .Lpair
.Lreturn:
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
.Lalone:                            /* the last channel of an odd number */
    strb    r7, [r2, r9]
    strb    r5, [r2]
    b       .Lreturn
.Lsigned:
    str     r3, [sp, #LEFT]
    asr     r4, r4, #7
    asr     r6, r6, #7
    lsl     r5, r5, #1
    lsl     r7, r7, #1
    signed  r4, r8, r9, r10
    signed  r6, r8, r9, r10
    signed  r5, r11, r12, lr
    signed  r7, r11, r12, lr
    ldr     r3, [sp, #LEFT]
    b       .Lscaled
    .size   tin_dsp_two_results, . - tin_dsp_two_results
