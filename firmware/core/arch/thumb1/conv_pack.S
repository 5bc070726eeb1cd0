/* Packing six pixels, three in two words: see tin_thumb1.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

/* Three pixels, whose addresses lie at r1. */
        .macro HALF
        ldmia   r1!, {r2-r4}
        mov     r12, r1
        mov     r1, r2
        mov     r2, r3
        mov     r3, r4
        mov     r4, lr
        adds    r1, r1, r4
        adds    r2, r2, r4
        adds    r3, r3, r4
        rsbs    r4, r4, #0
1:      ldrsb   r7, [r2, r4]
        ldrsb   r5, [r1, r4]
        lsls    r6, r7, #21
        adds    r5, r5, r6
        ldrsb   r6, [r3, r4]
        lsls    r7, r7, #10
        adds    r6, r6, r7
        stmia   r0!, {r5, r6}
        adds    r0, #8
        adds    r4, #1
        bne     1b
        .endm

/* uint32_t *tin_pack6(uint32_t *to, const int8_t *const from[], int32_t bytes)
 *
 *   r0      next word                      r5, r6  the two words
 *   r1-r3   behind the last tap of three pixels   r7  the middle pixel
 *   r4      tap, counted from the end      r12  next address of a pixel,  lr  taps
 */
        .section .text.tin_pack6, "ax", %progbits
        .balign 4
        .global tin_pack6
        .thumb_func
        .type   tin_pack6, %function
tin_pack6:
        push    {r4-r7, lr}
        mov     lr, r2
        push    {r0}
        HALF
        pop     {r0}
        mov     r1, r12
        adds    r0, #8
        HALF
        subs    r0, #8
        pop     {r4-r7, pc}
        .size   tin_pack6, . - tin_pack6

/* void tin_starts6(const uint32_t *packed, const uint32_t *end, uint32_t *starts)
 *
 * 2^20, and 2^20 + 2^30 for the second word of each pair, less 128 times the sum of the words.
 *
 *   r0  next word    r1  end    r2, r3  words    r4-r7  sums    r12  starts
 */
        .macro ADD_TAP
        ldmia   r0!, {r2, r3}
        adds    r4, r4, r2
        adds    r5, r5, r3
        ldmia   r0!, {r2, r3}
        adds    r6, r6, r2
        adds    r7, r7, r3
        .endm

        .section .text.tin_starts6, "ax", %progbits
        .balign 4
        .global tin_starts6
        .thumb_func
        .type   tin_starts6, %function
tin_starts6:
        push    {r4-r7, lr}
        mov     r12, r2
        movs    r4, #0
        movs    r5, #0
        movs    r6, #0
        movs    r7, #0
        subs    r2, r1, r0
        lsls    r2, r2, #28             /* carry: whether the number of taps is odd */
        bcs     2f
1:      ADD_TAP
2:      ADD_TAP
        cmp     r0, r1
        bne     1b
        lsls    r4, r4, #7
        lsls    r5, r5, #7
        lsls    r6, r6, #7
        lsls    r7, r7, #7
        movs    r2, #1
        lsls    r0, r2, #20
        lsls    r1, r2, #30
        adds    r1, r1, r0
        subs    r4, r0, r4
        subs    r5, r1, r5
        subs    r6, r0, r6
        subs    r7, r1, r7
        mov     r2, r12
        stmia   r2!, {r4-r7}
        pop     {r4-r7, pc}
        .size   tin_starts6, . - tin_starts6
