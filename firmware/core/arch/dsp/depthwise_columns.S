/* Unpacking for the loops of depthwise_lines.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

/* r0 next column, r1 a, r2 step of a, r3 b, r4 step of b, r5 columns left, r12 mask of lanes; r6-r9 in work:
 * bytes a0 a1 a2 a3 and b0 b1 b2 b3 become a0.b0, a1.b1, a2.b2, a3.b3, each byte on top of its half. */
        .macro COLUMN
        ldr     r6, [r1]
        ldr     r7, [r3]
        add     r1, r1, r2
        add     r3, r3, r4
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

        .section .text.tin_dw_columns, "ax", %progbits
        .balign 4
        .global tin_dw_columns
        .thumb_func
        .type   tin_dw_columns, %function
tin_dw_columns:
        push    {r4-r9, lr}
        ldrd    r4, r5, [sp, #28]
        mov     r12, #0xff00ff00
        lsrs    r5, r5, #1
        bcc     2f
        COLUMN
2:      cbz     r5, 3f
1:      COLUMN
        COLUMN
        subs    r5, r5, #1
        bne     1b
3:      pop     {r4-r9, pc}
        .size   tin_dw_columns, . - tin_dw_columns

/* r0 channel, r1 weights, r2 up, r3 step; r4-r12 the nine weights, r14 in work. */
        .macro LOAD tap, to
        ldrsb   \to, [r1, #4 * \tap]
        lsl     \to, \to, r2
        .endm

        .macro PAIR low, high, at
        pkhbt   r14, \low, \high, lsl #16
        str     r14, [r0, #\at]
        .endm

        .section .text.tin_dw_weights, "ax", %progbits
        .balign 4
        .global tin_dw_weights
        .thumb_func
        .type   tin_dw_weights, %function
tin_dw_weights:
        push    {r4-r11, lr}
        LOAD    0, r4
        LOAD    1, r5
        LOAD    2, r6
        LOAD    3, r7
        LOAD    4, r8
        LOAD    5, r9
        LOAD    6, r10
        LOAD    7, r11
        LOAD    8, r12
        PAIR    r4, r5, 4
        PAIR    r7, r8, 8
        PAIR    r10, r11, 12
        PAIR    r6, r9, 16
        PAIR    r12, r3, 20
        PAIR    r5, r6, 148
        PAIR    r8, r9, 152
        PAIR    r11, r12, 156
        PAIR    r4, r7, 160
        PAIR    r10, r3, 164
        pop     {r4-r11, pc}
        .size   tin_dw_weights, . - tin_dw_weights
