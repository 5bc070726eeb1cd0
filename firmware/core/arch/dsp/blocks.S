/* Four pixels times all channels of a convolution, two channels at a time, for cores with DSP extension and FPU.
 *
 * Up to 32 weight words wait in s0-s31, which leaves the core's registers for the accumulators and one LDM of pixels a
 * step: 11 instructions for 16 products.
 *
 * Where windows are three columns wide and their pixels neighbours, pixels share columns (`slide`): of three steps the
 * first loads four columns, the others one each, into the register of the one that is done with.
 *
 * In the loops, beside what blocks.inc says:
 *     r0-r3   x of pixels 0-3 (two taps each)      r12 weight word
 *     carry: this load is the pair's last one
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

#include "blocks.inc"

.macro step name, slide, index
.Lstep\name\()_\index:
  .if \slide && \index % 3 == 1
    ldr     r0, [lr], #4
    vmov    r12, s\index
    products 4, r12, r1, r2, r3, r0
  .elseif \slide && \index % 3 == 0
    ldr     r1, [lr], #4
    vmov    r12, s\index
    products 4, r12, r2, r3, r0, r1
  .else
    ldm     lr!, {r0-r3}
    vmov    r12, s\index
    products 4, r12, r0, r1, r2, r3
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

.macro block name, slide
    begin   \name, 4
  .if \slide
    cmn     r2, #0                  /* clears carry */
  .else
    cmp     r2, #0                  /* sets carry */
  .endif

.Lpair\name:
    ldm     r12!, {r1, r4, r5}      /* first word; F and S begin with the biases */
    ldrd    r0, lr, [sp, #FIRST]
    first_step 4
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
    step    \name, \slide, \index
    .endr
  .endif
  .irp index, 29,28,27,26,25,24,23,22,21,20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0
    step    \name, \slide, \index
  .endr
.Lloaded\name:
    bcc.w   .Lmore\name
    ldr     r12, [sp, #STREAM]
    finish  \name, 4, \slide
.endm

    block   block4, 0
    block   block4_slide, 1
