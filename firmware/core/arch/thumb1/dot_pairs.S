/* void tin_dot_pairs(const tin_pairs *p, int32_t sums[2]): see tin_thumb1.h.
 *
 * Eighteen instructions for eight products:
 *   r0, r1  packed inputs                  r6      next packed input
 *   r2, r7  four weights of each channel   r8, r9  sums of the group, in their upper halves
 *   r3      pair of weights, product       r10, r11  sums
 *   r4      0x00ff00ff                     r12     end of packed inputs
 *   r5      next weights                   lr      code that a group leaves out, in half bytes
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

/* 36 bytes: tin_thumb1.h counts on it. */
        .macro QUAD
        ldmia   r6!, {r0, r1}
        ldmia   r5!, {r2, r7}
        mov     r3, r2
        ands    r3, r3, r4
        muls    r3, r0, r3
        add     r8, r8, r3
        lsrs    r2, r2, #8
        ands    r2, r2, r4
        muls    r2, r1, r2
        add     r8, r8, r2
        mov     r3, r7
        ands    r3, r3, r4
        muls    r3, r0, r3
        add     r9, r9, r3
        lsrs    r7, r7, #8
        ands    r7, r7, r4
        muls    r7, r1, r7
        add     r9, r9, r7
        .endm

        .section .text.tin_dot_pairs, "ax", %progbits
        .balign 4
        .global tin_dot_pairs
        .thumb_func
        .type   tin_dot_pairs, %function
tin_dot_pairs:
        push    {r4-r7, lr}
        mov     r4, r8
        mov     r5, r9
        mov     r6, r10
        mov     r7, r11
        push    {r1, r4-r7}
        ldmia   r1!, {r2, r3}
        mov     r10, r2
        mov     r11, r3
        ldmia   r0!, {r2, r3, r5, r6}
        mov     r12, r2
        mov     lr, r3
        ldr     r4, =0x00ff00ff
1:      ldmia   r6!, {r0}
        mov     r8, r0
        mov     r9, r0
        mov     r3, lr
        lsls    r3, r3, #1
        add     pc, pc, r3
        nop
        .rept   8
        QUAD
        .endr
        mov     r3, r8
        asrs    r3, r3, #16
        add     r10, r10, r3
        mov     r3, r9
        asrs    r3, r3, #16
        add     r11, r11, r3
        cmp     r6, r12
        beq     2f
        b       1b
2:      pop     {r1, r4-r7}
        mov     r2, r10
        mov     r3, r11
        stmia   r1!, {r2, r3}
        mov     r8, r4
        mov     r9, r5
        mov     r10, r6
        mov     r11, r7
        pop     {r4-r7, pc}
        .ltorg
        .size   tin_dot_pairs, . - tin_dot_pairs
