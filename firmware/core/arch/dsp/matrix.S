/* A few pixels times all channels of a convolution, two channels at a time, for cores with DSP extension and FPU.
 *
 * Two output channels share every weight word: a 16-bit lane holds 256 * w1 + w0. With x the same two taps of a pixel,
 *     F = sum of SMLAD(word, x) = 256 * S1 + S0,    S = sum of SMLAD(SXTB16(word), x) = S0    (modulo 2^32),
 * so one SXTB16 unpacks for both, and F - S is 256 * S1. Up to 32 weight words wait in s0-s31, which leaves the core's
 * registers for the accumulators and one LDM of pixels a step: 11 instructions for 16 products with four pixels.
 *
 * tin_dsp_block4 and tin_dsp_block3 take a tin_dsp_block (dsp.h). In the loops:
 *     r0-r3   x of pixels 0-3 (two taps each)      lr  where the next x are
 *     r4, r6, r8, r10   F of pixels 0-3            r12 weight word
 *     r5, r7, r9, r11   S of pixels 0-3
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

    /* offsets in the frame, a copy of the block */
    .equ WEIGHTS, 0                 /* in front of the words of the first load */
    .equ TABLE, 8                   /* in front of x */
    .equ X_END, 16
    .equ OUT, 20                    /* in front of the distance of pixel 1 */
    .equ AT_LAST, 28                /* in front of the end of pixel 0's outputs */
    .equ FRAME, 36

    .equ SHIFT, 12                  /* FAST_SHIFT in _requant.py */

/* Two taps of all pixels times the word in r12: first F, then S. */
.macro products pixels
    smlad   r4, r12, r0, r4
    smlad   r6, r12, r1, r6
    smlad   r8, r12, r2, r8
  .if \pixels == 4
    smlad   r10, r12, r3, r10
  .endif
    sxtb16  r12, r12
    smlad   r5, r12, r0, r5
    smlad   r7, r12, r1, r7
    smlad   r9, r12, r2, r9
  .if \pixels == 4
    smlad   r11, r12, r3, r11
  .endif
.endm

/* The first step of a pair of channels starts from F in r4 and S in r5 for all pixels; r0-r2 are kept. */
.macro first_step pixels
    ldr     r12, [r0], #4
  .if \pixels == 4
    ldm     lr!, {r3, r7, r9, r11}
    smlad   r10, r12, r11, r4
  .else
    ldm     lr!, {r3, r7, r9}
  .endif
    smlad   r8, r12, r9, r4
    smlad   r6, r12, r7, r4
    smlad   r4, r12, r3, r4
    sxtb16  r12, r12
  .if \pixels == 4
    smlad   r11, r12, r11, r5
  .endif
    smlad   r9, r12, r9, r5
    smlad   r7, r12, r7, r5
    smlad   r5, r12, r3, r5
.endm

.macro step pixels, index
.Lstep\pixels\()_\index:
  .if \pixels == 4
    ldm     lr!, {r0-r3}
  .else
    ldm     lr!, {r0-r2}
  .endif
    vmov    r12, s\index
    products \pixels
.endm

/* Loads weight words up to s<last> and jumps to the step that uses that one; the steps count down. */
.macro load_words pixels, last
.Lload\pixels\()_\last:
  .if \last
    vldm    r0!, {s0-s\last}
  .else
    vldm    r0!, {s0}
  .endif
    str     r0, [sp, #WEIGHTS]
  .if \last < 31
    b.w     .Lstep\pixels\()_\last
  .endif
.endm

/* Jumps to where r2 words are loaded. */
.macro load_any pixels, table
    tbb     [pc, r2]
.Ltable\pixels\table:
    .byte   (.Lnone\pixels - .Ltable\pixels\table) / 2
  .irp last, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .byte   (.Lload\pixels\()_\last - .Ltable\pixels\table) / 2
  .endr
    .balign 2
.endm

/* Upper channel. In: F, S; r0 multiplier, r1 constant. The result replaces F. */
.macro upper f, s
    sub     \f, \f, \s
    smmla   \f, \f, r0, r1
    ssat    \f, #8, \f, asr #SHIFT
.endm

/* Lower channel. In: S; r3 multiplier, r12 constant. The result replaces S. */
.macro lower s
    lsl     \s, \s, #8
    smmla   \s, \s, r3, r12
    ssat    \s, #8, \s, asr #SHIFT
.endm

/* Where negative accumulators take one off the constant. r2 is the shift; r3 is changed. */
.macro upper_signed f, s
    sub     \f, \f, \s
    asr     \f, \f, #7
    add     r3, r1, \f, asr #31
    smmlar  \f, \f, r0, r3
    asr     \f, \f, r2
    ssat    \f, #8, \f
.endm

/* lr is the shift; r0 is changed. */
.macro lower_signed s
    lsl     \s, \s, #1
    add     r0, r12, \s, asr #31
    smmlar  \s, \s, r3, r0
    asr     \s, \s, lr
    ssat    \s, #8, \s
.endm

.macro block pixels
    .section .text.tin_dsp_block\pixels, "ax", %progbits
    .global tin_dsp_block\pixels
    .type   tin_dsp_block\pixels, %function
    .thumb_func
tin_dsp_block\pixels:
    push    {r4-r11, lr}
    vpush   {s16-s31}
    sub     sp, sp, #FRAME
    ldm     r0, {r1-r9}
    mov     r0, sp
    stm     r0, {r1-r9}

.Lpair\pixels:
    ldrd    r0, r2, [sp, #WEIGHTS]  /* weights, words of the first load */
    ldrd    r1, lr, [sp, #TABLE]    /* table, x */
    ldrd    r4, r5, [r1], #32       /* F and S begin with the biases */
    str     r1, [sp, #TABLE]
    first_step \pixels
    load_any \pixels, a
.Lmore\pixels:
    ldrd    r0, r2, [sp, #WEIGHTS]
    add     r2, r2, #1
    load_any \pixels, b
.Lnone\pixels:
    str     r0, [sp, #WEIGHTS]
    b.w     .Lloaded\pixels
  .irp last, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    load_words \pixels, \last
  .endr
  .irp index, 31,30,29,28,27,26,25,24,23,22,21,20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0
    step    \pixels, \index
  .endr
.Lloaded\pixels:
    ldr     r0, [sp, #X_END]
    cmp     lr, r0
    bne.w   .Lmore\pixels
    ldr     lr, [sp, #TABLE]        /* already behind this pair's entry */
    ldmdb   lr, {r0-r3, r12, lr}    /* multiplier, constant, shift of the upper, then of the lower channel */
    tst     r2, #0xc0000000         /* signed? one alone? (a shift by a register looks at 8 bits) */
    bne     .Lspecial\pixels
    upper   r4, r5
    upper   r6, r7
    upper   r8, r9
    lower   r5
    lower   r7
    lower   r9
  .if \pixels == 4
    upper   r10, r11
    lower   r11
  .endif
.Lstore\pixels:
    bfi     r5, r4, #8, #8
    bfi     r7, r6, #8, #8
    bfi     r9, r8, #8, #8
    ldrd    r0, r1, [sp, #OUT]      /* out, from pixel 0 to pixel 1 */
    ldrd    r2, r3, [sp, #AT_LAST]  /* from pixel 0 to the last one, end */
    strh    r7, [r0, r1]
  .if \pixels == 4
    bfi     r11, r10, #8, #8
    strh    r9, [r0, r1, lsl #1]
    strh    r11, [r0, r2]
  .else
    strh    r9, [r0, r2]
  .endif
    strh    r5, [r0], #2
    str     r0, [sp, #OUT]
    cmp     r0, r3
    bne.w   .Lpair\pixels
.Lreturn\pixels:
    add     sp, sp, #FRAME
    vpop    {s16-s31}
    pop     {r4-r11, pc}

.Lspecial\pixels:
    tst     r2, #0x40000000
    bne     .Lalone\pixels
    upper_signed r4, r5
    upper_signed r6, r7
    upper_signed r8, r9
  .if \pixels == 4
    upper_signed r10, r11
  .endif
    ldr     lr, [sp, #TABLE]
    ldmdb   lr, {r3, r12, lr}
    lower_signed r5
    lower_signed r7
    lower_signed r9
  .if \pixels == 4
    lower_signed r11
  .endif
    b       .Lstore\pixels

.Lalone\pixels:                     /* the last channel of an odd number */
    lower_signed r5
    lower_signed r7
    lower_signed r9
  .if \pixels == 4
    lower_signed r11
  .endif
    ldrd    r0, r1, [sp, #OUT]
    ldr     r2, [sp, #AT_LAST]
  .if \pixels == 4
    strb    r9, [r0, r1, lsl #1]
    strb    r11, [r0, r2]
  .else
    strb    r9, [r0, r2]
  .endif
    strb    r7, [r0, r1]
    strb    r5, [r0]
    b       .Lreturn\pixels
    .size   tin_dsp_block\pixels, . - tin_dsp_block\pixels
.endm

    block   4
    block   3

/* uint32_t *tin_dsp_windows4(uint32_t *to, const tin_dsp_windows *windows); the same for 3 pixels.
 *
 * Unpacks and interleaves rows of taps: of each four bytes a word with bytes 0 and 2 of every pixel, then a word with
 * bytes 1 and 3. One byte left over makes half a word, two make a word, three make one and a half. Returns the end.
 *     r0 to    r1, r2, r3, r12 pixels    lr end of the first pixel's fours    r4-r11 words
 */
    .equ WINDOWS_STEP, 16
    .equ WINDOWS_ROWS, 32
    .equ WINDOWS_WHOLE, 36
    .equ WINDOWS_REST, 40

/* r4 = bytes 0 and 2 of r4, and so on; r4 + pixels = bytes 1 and 3 */
.macro unpack pixels
  .if \pixels == 4
    sxtb16  r8, r4, ror #8
    sxtb16  r9, r5, ror #8
    sxtb16  r10, r6, ror #8
    sxtb16  r11, r7, ror #8
    sxtb16  r7, r7
  .else
    sxtb16  r7, r4, ror #8
    sxtb16  r8, r5, ror #8
    sxtb16  r9, r6, ror #8
  .endif
    sxtb16  r4, r4
    sxtb16  r5, r5
    sxtb16  r6, r6
.endm

.macro store pixels
  .if \pixels == 4
    stm     r0!, {r4-r7}
  .else
    stm     r0!, {r4-r6}
  .endif
.endm

.macro store_two pixels
  .if \pixels == 4
    stm     r0!, {r4-r11}
  .else
    stm     r0!, {r4-r9}
  .endif
.endm

/* The next byte, two bytes or four bytes of all pixels. */
.macro fetch pixels, load, count
    \load  r4, [r1], #\count
    \load  r5, [r2], #\count
    \load  r6, [r3], #\count
  .if \pixels == 4
    \load  r7, [r12], #\count
  .endif
.endm

.macro third x, from
    ldrb    lr, [\from], #1
    orr     \x, \x, lr, lsl #16
.endm

/* Bytes 0 and 1 of x, with nothing behind them, as a word of two taps. */
.macro two x
    sxtb16  lr, \x, ror #8
    sxtb16  \x, \x
    pkhbt   \x, \x, lr, lsl #16
.endm

.macro windows pixels
    .section .text.tin_dsp_windows\pixels, "ax", %progbits
    .global tin_dsp_windows\pixels
    .type   tin_dsp_windows\pixels, %function
    .thumb_func
tin_dsp_windows\pixels:
    push    {r4-r11, lr}
    ldr     r2, [r1, #WINDOWS_ROWS]
    push    {r1, r2}
  .if \pixels == 4
    ldm     r1, {r1-r3, r12}
  .else
    ldm     r1, {r1-r3}
  .endif
.Lrow\pixels:
    ldr     r4, [sp]
    ldr     lr, [r4, #WINDOWS_WHOLE]
    cmp     lr, #0
    beq     .Lrest\pixels
    add     lr, lr, r1
.Lfours\pixels:
    fetch   \pixels, ldr, 4
    unpack  \pixels
    store_two \pixels
    cmp     r1, lr
    bne     .Lfours\pixels
    ldr     r4, [sp]
.Lrest\pixels:
    ldr     r4, [r4, #WINDOWS_REST]
    cmp     r4, #2
    bhi     .Lthree\pixels
    beq     .Ltwo\pixels
    cbz     r4, .Lnext\pixels
    fetch   \pixels, ldrb, 1
    sxtb16  r4, r4
    sxtb16  r5, r5
    sxtb16  r6, r6
  .if \pixels == 4
    sxtb16  r7, r7
  .endif
    store   \pixels
.Lnext\pixels:
    ldrd    r8, r9, [sp]            /* windows, rows left */
    subs    r9, r9, #1
    beq     .Ldone\pixels
    str     r9, [sp, #4]
    ldrd    r4, r5, [r8, #WINDOWS_STEP]
    ldrd    r6, r7, [r8, #WINDOWS_STEP + 8]
    add     r1, r1, r4
    add     r2, r2, r5
    add     r3, r3, r6
  .if \pixels == 4
    add     r12, r12, r7
  .endif
    b       .Lrow\pixels
.Ltwo\pixels:
    fetch   \pixels, ldrh, 2
    two     r4
    two     r5
    two     r6
  .if \pixels == 4
    two     r7
  .endif
    store   \pixels
    b       .Lnext\pixels
.Lthree\pixels:
    fetch   \pixels, ldrh, 2
    third   r4, r1
    third   r5, r2
    third   r6, r3
  .if \pixels == 4
    third   r7, r12
  .endif
    unpack  \pixels
    store_two \pixels
    b       .Lnext\pixels
.Ldone\pixels:
    add     sp, sp, #8
    pop     {r4-r11, pc}
    .size   tin_dsp_windows\pixels, . - tin_dsp_windows\pixels
.endm

    windows 4
    windows 3
