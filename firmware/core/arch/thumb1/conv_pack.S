/* Packing six pixels, three in two words: see tin_thumb1.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

/* Offsets in the strip. */
        .equ    FROM, 0
        .equ    SKIP, 24
        .equ    TAPS, 48
        .equ    STEP, 52
        .equ    GROUPS, 56
        .equ    GAP, 60
        .equ    ROWS, 64
        .equ    BACK, 68

/* Three pixels of the strip at r11: the first three, or the last. */
        .macro HALF first
        mov     r4, r11
        ldr     r1, [r4, #FROM + 4 * \first]
        ldr     r2, [r4, #FROM + 4 * \first + 4]
        ldr     r3, [r4, #FROM + 4 * \first + 8]
        ldr     r5, [r4, #ROWS]
        mov     r10, r5
1:      ldr     r5, [r4, #GROUPS]
        mov     r9, r5
2:      mov     r4, r12
        adds    r1, r1, r4
        adds    r2, r2, r4
        adds    r3, r3, r4
        rsbs    r4, r4, #0
3:      ldrsb   r7, [r2, r4]
        ldrsb   r5, [r1, r4]
        lsls    r6, r7, #21
        adds    r5, r5, r6
        ldrsb   r6, [r3, r4]
        lsls    r7, r7, #10
        adds    r6, r6, r7
        stmia   r0!, {r5, r6}
        add     r0, r0, r8
        adds    r4, #1
        bne     3b
        mov     r5, r9
        subs    r5, #1
        beq     4f
        mov     r9, r5
        add     r0, r0, lr
        b       2b
4:      mov     r4, r11
        add     r0, r0, lr
        mov     r5, r10
        subs    r5, #1
        beq     5f
        mov     r10, r5
        ldr     r5, [r4, #SKIP + 4 * \first]
        adds    r1, r1, r5
        ldr     r5, [r4, #SKIP + 4 * \first + 4]
        adds    r2, r2, r5
        ldr     r5, [r4, #SKIP + 4 * \first + 8]
        adds    r3, r3, r5
        ldr     r5, [r4, #BACK]
        lsls    r5, r5, #2
        adds    r0, r0, r5
        b       1b
5:
        .endm

/* uint32_t *tin_pack6_strip(uint32_t *to, const tin_strip *strip)
 *
 *   r0      next word                      r8   bytes from behind a tap's words to the next tap
 *   r1-r3   behind a group of three pixels r9   groups left in the row
 *   r4      tap, counted from the end      r10  rows left
 *   r5, r6  the two words                  r11  strip
 *   r7      the middle pixel               r12  taps of a group,  lr  gap in bytes
 */
        .section .text.tin_pack6_strip, "ax", %progbits
        .balign 4
        .global tin_pack6_strip
        .thumb_func
        .type   tin_pack6_strip, %function
tin_pack6_strip:
        push    {r4-r7, lr}
        mov     r4, r8
        mov     r5, r9
        mov     r6, r10
        mov     r7, r11
        push    {r0, r4-r7}
        mov     r11, r1
        ldr     r2, [r1, #TAPS]
        mov     r12, r2
        ldr     r2, [r1, #STEP]
        lsls    r2, r2, #2
        subs    r2, #8
        mov     r8, r2
        ldr     r2, [r1, #GAP]
        lsls    r2, r2, #2
        mov     lr, r2
        HALF    0
        pop     {r0}
        adds    r0, #8
        HALF    3
        subs    r0, #8
        pop     {r4-r7}
        mov     r8, r4
        mov     r9, r5
        mov     r10, r6
        mov     r11, r7
        pop     {r4-r7, pc}
        .size   tin_pack6_strip, . - tin_pack6_strip

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
