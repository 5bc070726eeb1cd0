/* A vector times a matrix, four channels at a time, for cores with the DSP extension. Channels share words in pairs as
 * blocks.S explains; inputs are unpacked on the way, so nothing is stored.
 *
 * void tin_dsp_dense(const tin_dsp_dense *dense);
 *     r0 weights    r1 x    r2 its end    r4, r5 F, S of channels 0 and 1    r6, r7 of channels 2 and 3
 *     r8-r11 weight words of four taps    r3, r12, lr x
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

    /* offsets in the frame, a copy of what dense points to */
    .equ WEIGHTS, 0
    .equ BIASES, 4
    .equ SCALES, 8
    .equ SCALE_STEP, 12
    .equ OUT, 16
    .equ OUT_END, 20
    .equ X, 24
    .equ X_BLOCKS, 28
    .equ X_WORDS, 32
    .equ TAIL, 36
    .equ FRAME, 40

    .equ UPPER_SHIFT, 12            /* as in _requant.py */
    .equ LOWER_SHIFT, 4

/* Four taps, given as bytes in x, of four channels: taps 0 and 2, then 1 and 3. */
.macro taps x
    ldm     r0!, {r8-r11}
    sxtb16  r3, \x
    smlad   r4, r8, r3, r4
    smlad   r6, r9, r3, r6
    sxtb16  r8, r8
    sxtb16  r9, r9
    smlad   r5, r8, r3, r5
    smlad   r7, r9, r3, r7
    sxtb16  \x, \x, ror #8
    smlad   r4, r10, \x, r4
    smlad   r6, r11, \x, r6
    sxtb16  r10, r10
    sxtb16  r11, r11
    smlad   r5, r10, \x, r5
    smlad   r7, r11, \x, r7
.endm

/* Two channels from F and S to bytes 0 and 1 of S. Constants as in tin_dsp.h: r3, r8, r9 of the upper one, r10-r12 of
 * the lower one. r0 and r1 are changed. */
.macro scale f, s, name
    ldr     r0, [sp, #SCALES]
    ldr     r1, [sp, #SCALE_STEP]
    ldm     r0, {r3, r8-r12}
    add     r0, r0, r1
    str     r0, [sp, #SCALES]
    sub     \f, \f, \s
    cmp     r9, #0
    bmi     .Lsigned\name
    smmla   \f, \f, r3, r8
    smmla   \s, \s, r10, r11
    ssat    \f, #8, \f, asr #UPPER_SHIFT
    ssat    \s, #8, \s, asr #LOWER_SHIFT
    b       .Lscaled\name
.Lsigned\name:
    asr     \f, \f, #7
    lsl     \s, \s, #1
    add     r0, r8, \f, asr #31
    smmlar  \f, \f, r3, r0
    add     r0, r11, \s, asr #31
    smmlar  \s, \s, r10, r0
    asr     \f, \f, r9
    asr     \s, \s, r12
    ssat    \f, #8, \f
    ssat    \s, #8, \s
.Lscaled\name:
    bfi     \s, \f, #8, #8
.endm

    .section .text.tin_dsp_dense, "ax", %progbits
    .global tin_dsp_dense
    .type   tin_dsp_dense, %function
    .thumb_func
tin_dsp_dense:
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    ldm     r0, {r1-r10}
    mov     r0, sp
    stm     r0, {r1-r10}
.Lquad:
    ldrd    r0, r3, [sp, #WEIGHTS]
    ldm     r3!, {r4-r7}            /* biases: F, S, F, S */
    str     r3, [sp, #BIASES]
    ldrd    r1, r2, [sp, #X]
    cmp     r1, r2
    beq     .Lblocks_done
.Lblock:                            /* 32 taps; x is aligned here */
  .rept 4
    ldrd    r12, lr, [r1], #8
    taps    r12
    taps    lr
  .endr
    cmp     r1, r2
    bne.w   .Lblock
.Lblocks_done:
    ldr     r2, [sp, #X_WORDS]
    cmp     r1, r2
    beq     .Lwords_done
.Lword:
    ldr     r12, [r1], #4
    taps    r12
    cmp     r1, r2
    bne     .Lword
.Lwords_done:
    ldr     r12, [sp, #TAIL]        /* NULL, or where the last one to three bytes lie, filled up with zeros */
    cmp     r12, #0
    beq     .Lsums_done
    ldr     r12, [r12]
    taps    r12
.Lsums_done:
    str     r0, [sp, #WEIGHTS]
    ldr     r1, [sp, #SCALES]
    cbnz    r1, .Lscale
    ldr     r0, [sp, #OUT]          /* no scales: F and S of one quad as they are */
    stm     r0, {r4-r7}
    b       .Lreturn
.Lscale:
    scale   r4, r5, 0
    scale   r6, r7, 1
    pkhbt   r5, r5, r7, lsl #16
    ldrd    r0, r1, [sp, #OUT]
    str     r5, [r0], #4
    str     r0, [sp, #OUT]
    cmp     r0, r1
    bne.w   .Lquad
.Lreturn:
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .size   tin_dsp_dense, . - tin_dsp_dense
