/* Unpacks taps of pixels that lie at equal distances to words of two, as windows.S does, for cores with DSP extension.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

/* Four taps of four pixels, to words of two. The first ones lie at r1, the others r2, 2 * r2 and r3 bytes behind. */
.macro four_taps
    ldr     r5, [r1, r2]
    ldr     r6, [r1, r2, lsl #1]
    ldr     r7, [r1, r3]
    ldr     r4, [r1], #4
    sxtb16  r8, r4, ror #8
    sxtb16  r9, r5, ror #8
    sxtb16  r10, r6, ror #8
    sxtb16  r11, r7, ror #8
    sxtb16  r4, r4
    sxtb16  r5, r5
    sxtb16  r6, r6
    sxtb16  r7, r7
    stm     r0!, {r4-r11}
.endm

/* void tin_dsp_pixels4(uint32_t *to, const int8_t *from, int32_t bytes);
 *
 * Four pixels one behind the other, each of a multiple of four channels, as many bytes.
 *     r0 to    r1 first pixel    r2, r3 from it to the second and to the fourth one    lr its end    r4-r11 words
 */
    .section .text.tin_dsp_pixels4, "ax", %progbits
    .global tin_dsp_pixels4
    .type   tin_dsp_pixels4, %function
    .thumb_func
tin_dsp_pixels4:
    push    {r4-r11, lr}
    add     r3, r2, r2, lsl #1
    add     lr, r1, r2
.Lpixels_fours:
    four_taps
    cmp     r1, lr
    bne     .Lpixels_fours
    pop     {r4-r11, pc}
    .size   tin_dsp_pixels4, . - tin_dsp_pixels4

/* uint32_t *tin_dsp_nines4(uint32_t *to, const int8_t *from, int32_t across, const tin_dsp_windows *windows);
 *
 * Rows of nine taps, as those of a 3x3 kernel over three colours, of four pixels `across` bytes apart. Of the windows,
 * only rows and the first pixel's step matter. Returns the end.
 *     r0 to    r1 first pixel    r2, r3 from it to the second and to the fourth one    r12 rows
 *     lr from the ninth tap to the next row    r4-r11 words
 */
    .equ WINDOWS_STEP, 16           /* in the windows */
    .equ WINDOWS_ROWS, 32

    .section .text.tin_dsp_nines4, "ax", %progbits
    .global tin_dsp_nines4
    .type   tin_dsp_nines4, %function
    .thumb_func
tin_dsp_nines4:
    push    {r4-r11, lr}
    ldr     lr, [r3, #WINDOWS_STEP]
    ldr     r12, [r3, #WINDOWS_ROWS]
    add     lr, lr, #1
    add     r3, r2, r2, lsl #1
.Lnines_row:
    four_taps
    four_taps
    ldrsb   r5, [r1, r2]            /* the words' upper halves meet weights of 0 */
    ldrsb   r6, [r1, r2, lsl #1]
    ldrsb   r7, [r1, r3]
    ldrsb   r4, [r1]
    stm     r0!, {r4-r7}
    add     r1, r1, lr
    subs    r12, r12, #1
    bne     .Lnines_row
    pop     {r4-r11, pc}
    .size   tin_dsp_nines4, . - tin_dsp_nines4

/* uint32_t *tin_dsp_six_columns(uint32_t *to, const tin_dsp_columns *columns);
 *
 * Six neighbouring columns of some rows, each of a multiple of four channels; the words of all columns lie side by
 * side. Returns the end.
 *     r0 to    r1, r2 in columns 0 and 3    r3 bytes of a column    lr end of column 0    r4-r12 words
 */
    .section .text.tin_dsp_six_columns, "ax", %progbits
    .global tin_dsp_six_columns
    .type   tin_dsp_six_columns, %function
    .thumb_func
tin_dsp_six_columns:
    push    {r4-r11, lr}
    ldm     r1, {r1, r3, r4, r5}    /* from, bytes of a column, from the end of column 0 to its next row, rows */
    push    {r4, r5}
.Lcolumns_row:
    add     r2, r1, r3, lsl #1
    add     r2, r2, r3
    add     lr, r1, r3
.Lcolumns_fours:
    ldr     r5, [r1, r3]
    ldr     r6, [r1, r3, lsl #1]
    ldr     r4, [r1], #4
    ldr     r8, [r2, r3]
    ldr     r9, [r2, r3, lsl #1]
    ldr     r7, [r2], #4
    sxtb16  r10, r4
    sxtb16  r11, r5
    sxtb16  r12, r6
    stm     r0!, {r10-r12}
    sxtb16  r10, r7
    sxtb16  r11, r8
    sxtb16  r12, r9
    stm     r0!, {r10-r12}
    sxtb16  r4, r4, ror #8
    sxtb16  r5, r5, ror #8
    sxtb16  r6, r6, ror #8
    sxtb16  r7, r7, ror #8
    sxtb16  r8, r8, ror #8
    sxtb16  r9, r9, ror #8
    stm     r0!, {r4-r9}
    cmp     r1, lr
    bne     .Lcolumns_fours
    ldrd    r4, r5, [sp]
    subs    r5, r5, #1
    str     r5, [sp, #4]
    add     r1, r1, r4
    bne     .Lcolumns_row
    add     sp, sp, #8
    pop     {r4-r11, pc}
    .size   tin_dsp_six_columns, . - tin_dsp_six_columns
