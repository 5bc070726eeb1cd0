/* Unpacks taps to words of two, for cores with DSP extension: of each four bytes a word with bytes 0 and 2, then one
 * with bytes 1 and 3. One byte left over makes half a word, two make a word, three make one and a half.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

/* uint32_t *tin_dsp_windows4(uint32_t *to, const tin_dsp_windows *windows); the same for 3 and for 2 pixels.
 *
 * Rows of taps of some pixels; the words of all pixels lie side by side. Returns the end.
 *     r0 to    r1, r2, r3, r12 pixels    lr end of the first pixel's fours    r4-r11 words
 */
    .equ WINDOWS_STEP, 16           /* in the windows */
    .equ WINDOWS_ROWS, 32

    .equ STEP, 0                    /* in the frame: pointer to the steps, then rows, whole, rest */
    .equ ROWS, 4
    .equ WHOLE, 8
    .equ REST, 12

/* r4 = bytes 0 and 2 of r4, and so on; r4 + pixels = bytes 1 and 3 */
.macro unpack pixels
  .if \pixels == 4
    sxtb16  r8, r4, ror #8
    sxtb16  r9, r5, ror #8
    sxtb16  r10, r6, ror #8
    sxtb16  r11, r7, ror #8
    sxtb16  r7, r7
    sxtb16  r6, r6
  .elseif \pixels == 3
    sxtb16  r7, r4, ror #8
    sxtb16  r8, r5, ror #8
    sxtb16  r9, r6, ror #8
    sxtb16  r6, r6
  .else
    sxtb16  r6, r4, ror #8
    sxtb16  r7, r5, ror #8
  .endif
    sxtb16  r4, r4
    sxtb16  r5, r5
.endm

.macro store pixels
  .if \pixels == 4
    stm     r0!, {r4-r7}
  .elseif \pixels == 3
    stm     r0!, {r4-r6}
  .else
    stm     r0!, {r4, r5}
  .endif
.endm

.macro store_two pixels
  .if \pixels == 4
    stm     r0!, {r4-r11}
  .elseif \pixels == 3
    stm     r0!, {r4-r9}
  .else
    stm     r0!, {r4-r7}
  .endif
.endm

/* The next byte, two bytes or four bytes of all pixels. */
.macro fetch pixels, load, count
    \load  r4, [r1], #\count
    \load  r5, [r2], #\count
  .if \pixels > 2
    \load  r6, [r3], #\count
  .endif
  .if \pixels > 3
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
    add     r4, r1, #WINDOWS_STEP
    add     r5, r1, #WINDOWS_ROWS
    ldm     r5, {r5-r7}
    push    {r4-r7}
  .if \pixels == 4
    ldm     r1, {r1-r3, r12}
  .elseif \pixels == 3
    ldm     r1, {r1-r3}
  .else
    ldm     r1, {r1, r2}
  .endif
.Lrow\pixels:
    ldr     r4, [sp, #WHOLE]
    cbz     r4, .Lrest\pixels
    add     lr, r4, r1
.Lfours\pixels:
    fetch   \pixels, ldr, 4
    unpack  \pixels
    store_two \pixels
    cmp     r1, lr
    bne     .Lfours\pixels
.Lrest\pixels:
    ldr     r4, [sp, #REST]
    cbz     r4, .Lnext\pixels
    cmp     r4, #2
    bhi     .Lthree\pixels
    beq     .Ltwo\pixels
    fetch   \pixels, ldrsb, 1      /* the word's upper half meets a weight of 0 */
    store   \pixels
.Lnext\pixels:
    ldrd    r8, r9, [sp, #STEP]
    subs    r9, r9, #1
    beq     .Ldone\pixels
    str     r9, [sp, #ROWS]
    ldm     r8, {r4-r7}
    add     r1, r1, r4
    add     r2, r2, r5
  .if \pixels > 2
    add     r3, r3, r6
  .endif
  .if \pixels == 4
    add     r12, r12, r7
  .endif
    b       .Lrow\pixels
.Ltwo\pixels:
    fetch   \pixels, ldrh, 2
    two     r4
    two     r5
  .if \pixels > 2
    two     r6
  .endif
  .if \pixels == 4
    two     r7
  .endif
    store   \pixels
    b       .Lnext\pixels
.Lthree\pixels:
    fetch   \pixels, ldrh, 2
    third   r4, r1
    third   r5, r2
  .if \pixels > 2
    third   r6, r3
  .endif
  .if \pixels == 4
    third   r7, r12
  .endif
    unpack  \pixels
    store_two \pixels
    b       .Lnext\pixels
.Ldone\pixels:
    add     sp, sp, #16
    pop     {r4-r11, pc}
    .size   tin_dsp_windows\pixels, . - tin_dsp_windows\pixels
.endm

    windows 4
    windows 3
    windows 2
