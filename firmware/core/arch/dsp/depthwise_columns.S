/* Unpacking for the loops of depthwise_lines.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

        .macro FUNCTION name
        .section .text.\name, "ax", %progbits
        .balign 4
        .global \name
        .thumb_func
        .type   \name, %function
\name:
        .endm

/* r0 next column, r6 bytes a0 a1 a2 a3, r7 bytes b0 b1 b2 b3, r12 mask of lanes; r6-r9 in work: what is stored is
 * a0.b0, a1.b1, a2.b2, a3.b3, each byte on top of its half. */
        .macro COLUMN
        pkhbt   r8, r6, r7, lsl #16
        pkhtb   r9, r7, r6, asr #16
        and     r6, r12, r8, lsl #8
        and     r7, r12, r9, lsl #8
        and     r8, r12, r8
        and     r9, r12, r9
        str     r8, [r0, #8]
        str     r7, [r0, #16]
        str     r9, [r0, #24]
        str     r6, [r0], #32
        .endm

/* r1 end of a, r2 end of b, r3 offset, r4 step. */
        FUNCTION tin_dw_columns
        push    {r4, r6-r9, lr}
        ldr     r4, [sp, #24]
        mov     r12, #0xff00ff00
1:      ldr     r6, [r1, r3]
        ldr     r7, [r2, r3]
        COLUMN
        adds    r3, r3, r4
        bne     1b
        pop     {r4, r6-r9, pc}
        .size   tin_dw_columns, . - tin_dw_columns

/* r1 a, r2 step of a, r3 b, r4 step of b, r5 columns left. */
        FUNCTION tin_dw_border
        push    {r4-r9, lr}
        ldrd    r4, r5, [sp, #28]
        mov     r12, #0xff00ff00
1:      ldr     r6, [r1]
        ldr     r7, [r3]
        add     r1, r1, r2
        add     r3, r3, r4
        COLUMN
        subs    r5, r5, #1
        bne     1b
        pop     {r4-r9, pc}
        .size   tin_dw_border, . - tin_dw_border

/* r0 next column; r1, r2, r3 ends of a, b, c; r4 offset, r5 step, r12 mask of lanes; r6-r11 the column in the end. Two
 * words of a wide column are nobody's: what happens to be in registers fills them. */
        .macro TRIPLES name, wide
        FUNCTION \name
        push    {r4-r11, lr}
        ldrd    r4, r5, [sp, #36]
        mov     r12, #0xff00ff00
1:      ldr     r9, [r1, r4]
        ldr     r11, [r2, r4]
        ldr     r10, [r3, r4]
        pkhbt   r6, r9, r11, lsl #16
        pkhtb   r11, r11, r9, asr #16
        and     r9, r12, r6
        and     r6, r12, r6, lsl #8
        and     r8, r12, r11, lsl #8
        and     r11, r12, r11
        and     r7, r12, r10, lsl #8
        and     r10, r12, r10
        .if     \wide
        stmia   r0!, {r6-r12, lr}
        .else
        stmia   r0!, {r6-r11}
        .endif
        adds    r4, r4, r5
        bne     1b
        pop     {r4-r11, pc}
        .size   \name, . - \name
        .endm

        TRIPLES tin_dw_triples, 1
        TRIPLES tin_dw_triples_2, 0

/* Channels. r0 behind channel->columns, r1 weights, r2 scales, r3 channels left, r12 mask of lanes times 2^5,
 * r14 rounds; r4, r5, r6 a tap's bytes w0 w1 w1 w2 each, then w1.w2; r7, r8, r9 w0.w1; r10, r11 singles. */
        .macro CHANNELS
        push    {r4-r11, lr}
        ldr     r14, [sp, #36]
        movw    r12, #0xffe0
        movt    r12, #0xffe0
        adds    r0, r0, #4
        .endm

        .macro LANES to, from, rotate=0
        .if     \rotate
        sxtb16  \to, \from, ror #\rotate
        .else
        sxtb16  \to, \from
        .endif
        and     \to, r12, \to, lsl #5
        .endm

        .macro THIRD
        ldmia   r1!, {r4-r6}
        LANES   r7, r4
        LANES   r8, r5
        LANES   r9, r6
        .endm

        FUNCTION tin_dw_third
        CHANNELS
1:      THIRD
        pkhtb   r10, r5, r4, asr #16
        LANES   r10, r10, 8
        LANES   r6, r6, 8
        pkhtb   r11, r14, r6, asr #16
        bfi     r11, r3, #16, #1
        ldrd    r4, r5, [r2], #8
        strd    r4, r5, [r0, #20]
        stmia   r0, {r7-r11}
        adds    r0, r0, #32
        subs    r3, r3, #1
        bne     1b
        pop     {r4-r11, pc}
        .size   tin_dw_third, . - tin_dw_third

        FUNCTION tin_dw_both
        CHANNELS
1:      THIRD
        LANES   r4, r4, 8
        LANES   r5, r5, 8
        LANES   r6, r6, 8
        pkhtb   r10, r5, r4, asr #16
        pkhtb   r11, r14, r6, asr #16
        stmia   r0, {r7-r11}
        pkhbt   r10, r7, r8, lsl #16
        pkhbt   r11, r9, r14
        ldrd    r8, r9, [r2], #8
        strd    r8, r9, [r0, #20]
        add     r7, r0, #128
        stmia   r7, {r4-r6, r10, r11}
        strd    r8, r9, [r7, #20]
        adds    r0, r0, #32
        subs    r3, r3, #1
        bne     1b
        pop     {r4-r11, pc}
        .size   tin_dw_both, . - tin_dw_both
