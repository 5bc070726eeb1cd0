/* void tin_dsp_add(const int8_t *a, const int8_t *b, int8_t *out, int32_t count, const int32_t constants[3]);
 *
 * out = saturated (a * A + b * B + C) >> 16, for a count of elements that is a multiple of 8 above 0; all three lie at
 * multiples of 4. Constants are 256 * A, 256 * B and C + 128 * 2^16: the results count from -128.
 *     r0 a    r1 b    r2 out    r3 end of a, else temporary    r4-r6 constants    r7 mask of bytes 1 and 3
 *     r8, r9 eight elements of a    r10, r11 of b    r12, lr temporary
 *
 * SPDX-License-Identifier: Apache-2.0
 */
    .syntax unified
    .thumb

/* Four elements: a becomes the result. Bytes 0 and 2, then 1 and 3, times 256 in both halves of a word. */
.macro four a, b
    and     r12, r7, \a, lsl #8
    and     lr, r7, \b, lsl #8
    smlawb  r3, r4, r12, r6
    smlawt  r12, r4, r12, r6
    smlawb  r3, r5, lr, r3
    smlawt  r12, r5, lr, r12
    pkhtb   r12, r12, r3, asr #16
    usat16  r12, #8, r12
    and     \a, \a, r7
    and     \b, \b, r7
    smlawb  r3, r4, \a, r6
    smlawt  \a, r4, \a, r6
    smlawb  r3, r5, \b, r3
    smlawt  \a, r5, \b, \a
    pkhtb   \a, \a, r3, asr #16
    usat16  \a, #8, \a
    orr     \a, r12, \a, lsl #8
    eor     \a, \a, #0x80808080
.endm

    .section .text.tin_dsp_add, "ax", %progbits
    .global tin_dsp_add
    .type   tin_dsp_add, %function
    .thumb_func
tin_dsp_add:
    push    {r4-r11, lr}
    ldr     r12, [sp, #36]
    ldm     r12, {r4-r6}
    mov     r7, #0xff00ff00
    add     r3, r0, r3
    push    {r3}
1:
    ldrd    r8, r9, [r0], #8
    ldrd    r10, r11, [r1], #8
    four    r8, r10
    four    r9, r11
    strd    r8, r9, [r2], #8
    ldr     r3, [sp]
    cmp     r0, r3
    bne     1b
    add     sp, sp, #4
    pop     {r4-r11, pc}
    .size   tin_dsp_add, . - tin_dsp_add
