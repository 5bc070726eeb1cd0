/* A few pixels times all channels of a convolution, two channels at a time, for cores with DSP extension and FPU.
 *
 * Two output channels share every weight word: a 16-bit lane holds 256 * w1 + w0. With x the same two taps of a pixel,
 *     F = sum of SMLAD(word, x) = 256 * S1 + S0,    S = sum of SMLAD(SXTB16(word), x) = S0    (modulo 2^32),
 * so one SXTB16 unpacks for both, and F - S is 256 * S1. Up to 32 weight words wait in s0-s31, which leaves the core's
 * registers for the accumulators and one LDM of pixels a step: 11 instructions for 16 products with four pixels.
 *
 * Where windows are three columns wide and their pixels neighbours, pixels share columns (`slide`): of three steps the
 * first loads four columns, the others one each, into the register of the one that is done with.
 *
 * tin_dsp_block4, tin_dsp_block3, tin_dsp_block4_slide take a tin_dsp_block (tin_dsp.h). In the loops:
 *     r0-r3   x of pixels 0-3 (two taps each)      lr  where the next x are
 *     r4, r6, r8, r10   F of pixels 0-3            r12 weight word
 *     r5, r7, r9, r11   S of pixels 0-3            carry: this load is the pair's last one
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

    /* offsets in the frame, a copy of the block */
    .equ X_LAST, 0                  /* in front of the stream */
    .equ STREAM, 4                  /* in front of the outputs */
    .equ OUT, 8                     /* in front of the distances of pixel 1 and the last one, and the outputs' end */
    .equ FIRST, 24                  /* in front of x */
    .equ REST, 32
    .equ FRAME, 36

    .equ UPPER_SHIFT, 12            /* as in _requant.py */
    .equ LOWER_SHIFT, 4

/* Two taps of all pixels times the word in r12: first F, then S. */
.macro products pixels, x0, x1, x2, x3
    smlad   r4, r12, \x0, r4
    smlad   r6, r12, \x1, r6
    smlad   r8, r12, \x2, r8
  .if \pixels == 4
    smlad   r10, r12, \x3, r10
  .endif
    sxtb16  r12, r12
    smlad   r5, r12, \x0, r5
    smlad   r7, r12, \x1, r7
    smlad   r9, r12, \x2, r9
  .if \pixels == 4
    smlad   r11, r12, \x3, r11
  .endif
.endm

/* The first step of a pair of channels starts from F in r4 and S in r5 for all pixels, with the word in r1; r0, r2 and
 * r12 are kept. */
.macro first_step pixels
  .if \pixels == 4
    ldm     lr!, {r3, r7, r9, r11}
    smlad   r10, r1, r11, r4
  .else
    ldm     lr!, {r3, r7, r9}
  .endif
    smlad   r8, r1, r9, r4
    smlad   r6, r1, r7, r4
    smlad   r4, r1, r3, r4
    sxtb16  r1, r1
  .if \pixels == 4
    smlad   r11, r1, r11, r5
  .endif
    smlad   r9, r1, r9, r5
    smlad   r7, r1, r7, r5
    smlad   r5, r1, r3, r5
.endm

.macro step name, pixels, slide, index
.Lstep\name\()_\index:
  .if \slide && \index % 3 == 1
    ldr     r0, [lr], #4
    vmov    r12, s\index
    products 4, r1, r2, r3, r0
  .elseif \slide && \index % 3 == 0
    ldr     r1, [lr], #4
    vmov    r12, s\index
    products 4, r2, r3, r0, r1
  .else
    .if \pixels == 4
    ldm     lr!, {r0-r3}
    .else
    ldm     lr!, {r0-r2}
    .endif
    vmov    r12, s\index
    products \pixels, r0, r1, r2, r3
  .endif
.endm

/* Keeps the place in the stream; a sliding block's outputs are where they were. */
.macro keep slide
  .if \slide
    str     r12, [sp, #STREAM]
  .else
    strd    r12, r2, [sp, #STREAM]
  .endif
.endm

/* Loads a pair's first words up to s<last> and jumps to the step that uses that one; the steps count down. */
.macro load_words name, slide, last
.Lload\name\()_\last:
  .if \last
    vldm    r12!, {s0-s\last}
  .else
    vldm    r12!, {s0}
  .endif
    keep    \slide
    b.w     .Lstep\name\()_\last
.endm

/* All further loads take as many words as there is room for. Falls into the step that uses the last one. */
.macro load_more name, slide
.Lmore\name:
    ldrd    r3, r12, [sp, #X_LAST]
    cmp     lr, r3                  /* sets carry if they are equal, else clears it */
  .if \slide
    vldm    r12!, {s0-s29}
  .else
    vldm    r12!, {s0-s31}
  .endif
    str     r12, [sp, #STREAM]
.endm

/* Upper channel. In: F, S; r0 multiplier, r1 constant. The result replaces F. */
.macro upper f, s
    sub     \f, \f, \s
    smmla   \f, \f, r0, r1
    ssat    \f, #8, \f, asr #UPPER_SHIFT
.endm

/* Lower channel. In: S; r3 multiplier, lr constant. The result replaces S. */
.macro lower s
    smmla   \s, \s, r3, lr
    ssat    \s, #8, \s, asr #LOWER_SHIFT
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

/* r2 is the shift; r0 is changed. */
.macro lower_signed s
    lsl     \s, \s, #1
    add     r0, lr, \s, asr #31
    smmlar  \s, \s, r3, r0
    asr     \s, \s, r2
    ssat    \s, #8, \s
.endm

/* A macro, times all pixels: of F and S, or of S alone. */
.macro both pixels, what
    \what   r4, r5
    \what   r6, r7
    \what   r8, r9
  .if \pixels == 4
    \what   r10, r11
  .endif
.endm

.macro lowers pixels, what
    \what   r5
    \what   r7
    \what   r9
  .if \pixels == 4
    \what   r11
  .endif
.endm

/* Loads the place of pixel 0's outputs to r2, the distances of pixel 1 and of the last to r3 and r4, the end to r6; r0
 * and r1 take what lies in front of them. */
.macro places
    ldm     sp, {r0-r4, r6}
.endm

/* Stores S of the pixels but the first. */
.macro others pixels, store
    \store  r7, [r2, r3]
  .if \pixels == 4
    \store  r9, [r2, r3, lsl #1]
    \store  r11, [r2, r4]
  .else
    \store  r9, [r2, r4]
  .endif
.endm

.macro pack f, s
    bfi     \s, \f, #8, #8
.endm

.macro block name, pixels, slide
    .section .text.tin_dsp_\name, "ax", %progbits
    .global tin_dsp_\name
    .type   tin_dsp_\name, %function
    .thumb_func
tin_dsp_\name:
    push    {r4-r11, lr}
    vpush   {s16-s31}
    sub     sp, sp, #FRAME
    ldm     r0, {r1-r9}
    mov     r0, sp
    stm     r0, {r1-r9}
    mov     r12, r2                 /* stream */
    mov     r2, r3                  /* out */
  .if \slide
    cmn     r2, #0                  /* clears carry */
  .else
    cmp     r2, #0                  /* sets carry */
  .endif

.Lpair\name:
    ldm     r12!, {r1, r4, r5}      /* first word; F and S begin with the biases */
    ldrd    r0, lr, [sp, #FIRST]
    first_step \pixels
  .if \slide
    ldmdb   lr, {r1-r3}             /* columns 1-3 stay */
  .endif
.Ldispatch\name:
    tbb     [pc, r0]
.Ltable\name:
  .if \slide
    .irp last, 0,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28
    .byte   (.Lload\name\()_\last - .Ltable\name) / 2
    .endr
    .irp last, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28
    load_words \name, \slide, \last
    .endr
  .else
    .byte   (.Lnone\name - .Ltable\name) / 2
    .irp last, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .byte   (.Lload\name\()_\last - .Ltable\name) / 2
    .endr
    .byte   (.Lseveral\name - .Ltable\name) / 2
.Lnone\name:
    keep    \slide
    b.w     .Lloaded\name
.Lseveral\name:                     /* loads */
    ldr     r0, [sp, #REST]
    cmn     r0, #0                  /* clears carry */
    b       .Ldispatch\name
    .irp last, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    load_words \name, \slide, \last
    .endr
  .endif
    load_more \name, \slide
  .if !\slide
    .irp index, 31,30
    step    \name, \pixels, \slide, \index
    .endr
  .endif
  .irp index, 29,28,27,26,25,24,23,22,21,20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0
    step    \name, \pixels, \slide, \index
  .endr
.Lloaded\name:
    bcc.w   .Lmore\name
    ldr     r12, [sp, #STREAM]
    ldm     r12!, {r0-r3, lr}       /* upper multiplier, constant; shifts and flags; lower multiplier, constant */
    cbz     r2, .Lfast\name
    b.w     .Lspecial\name
.Lfast\name:
    both    \pixels, upper
    lowers  \pixels, lower
.Lstore\name:
    both    \pixels, pack
    places
    others  \pixels, strh
    strh    r5, [r2], #2
  .if \slide
    str     r2, [sp, #OUT]
    cmp     r2, r6                  /* clears carry if there are more */
  .else
    cmp     r6, r2                  /* sets carry */
  .endif
    bne.w   .Lpair\name
.Lreturn\name:
    add     sp, sp, #FRAME
    vpop    {s16-s31}
    pop     {r4-r11, pc}

.Lspecial\name:
    both    \pixels, upper_signed   /* nonsense where the lower channel is alone */
    ldr     r3, [r12, #-8]
    lsrs    r2, r2, #8              /* a shift by a register looks at 8 bits; bit 7 goes to carry: alone? */
    lowers  \pixels, lower_signed
    bcc     .Lstore\name
    places                          /* the last channel of an odd number */
    others  \pixels, strb
    strb    r5, [r2]
    b       .Lreturn\name
    .size   tin_dsp_\name, . - tin_dsp_\name
.endm

    block   block4, 4, 0
    block   block3, 3, 0
    block   block4_slide, 4, 1
