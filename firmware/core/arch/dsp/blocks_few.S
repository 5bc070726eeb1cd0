/* Two or three pixels times all channels of a convolution, two channels at a time, for cores with DSP extension.
 *
 * As there are few accumulators, weight words are read two at a time, from the end of a load to its beginning: 6 or 8.5
 * instructions a step for 8 or 12 products, in a loop of eight steps.
 *
 * tin_dsp_block2, tin_dsp_block3. In the loop, beside what blocks.inc says:
 *     r0-r2, and r8 of two pixels   x of two steps or one       r10, r11  weight words of two steps
 *     r3   behind the words that are left of a load             r12       where it begins
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

#include "blocks.inc"

.macro two_steps pixels
    ldmdb   r3!, {r10, r11}
  .if \pixels == 2
    ldm     lr!, {r0-r2, r8}
    products 2, r11, r0, r1
    products 2, r10, r2, r8
  .else
    ldm     lr!, {r0-r2}
    products 3, r11, r0, r1, r2
    ldm     lr!, {r0-r2}
    products 3, r10, r0, r1, r2
  .endif
.endm

.macro block name, pixels
    begin   \name, \pixels

.Lpair\name:
    ldm     r12!, {r1, r4, r5}      /* first word; F and S begin with the biases */
    ldrd    lr, r10, [sp, #X]       /* r10: words of the first load */
    first_step \pixels
    add     r3, r12, r10, lsl #2
    strd    r3, r2, [sp, #STREAM]
    lsrs    r10, r10, #1
    bcc     .Leven\name
    ldr     r11, [r3, #-4]!
  .if \pixels == 2
    ldm     lr!, {r0, r1}
  .else
    ldm     lr!, {r0-r2}
  .endif
    products \pixels, r11, r0, r1, r2
.Leven\name:
    tbb     [pc, r10]
.Ltable\name:
    .irp    left, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0
    .byte   (.Lleft\name\()_\left - .Ltable\name) / 2
    .endr
    .balign 2
.Lmore\name:
    add     r3, r12, #4 * 32
    str     r3, [sp, #STREAM]
    .irp    left, 4, 3, 2, 1
.Lleft\name\()_\left:
    two_steps \pixels
    .endr
.Lleft\name\()_0:
    cmp     r3, r12
    bne     .Lleft\name\()_4
    ldrd    r10, r12, [sp, #X_LAST]
    cmp     lr, r10
    bls     .Lmore\name
    finish  \name, \pixels, 0
.endm

    block   block2, 2
    block   block3, 3
