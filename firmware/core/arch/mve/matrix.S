/* Three windows times pairs of channels: see tin_mve_matrix.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb
        .arch   armv8.1-m.main
        .arch_extension mve
        .text

/* On the stack: the first eight words of the block. */
        .equ    ADVANCE, 12
        .equ    OUT, 16
        .equ    END, 20

/* Three sums become a vector, of which the last two lanes are alike. */
        .macro  vector q, a, b, c
        vmov    \q[2], \q[0], \a, \c
        vmov    \q[3], \q[1], \b, \c
        .endm

/* Requantizes \q with the next multiplier and shift. Without a fused ReLU, a positive shift comes first, and negative
 * numbers lose one before they are rounded, but where nothing is shifted out. Uses r0, r1, r3, q2, q3. */
        .macro  scale q, relu
        ldrd    r1, r3, [r12], #8
        .if     !\relu
        bic     r0, r3, r3, asr #31
        and     r3, r3, r3, asr #31
        vshl.s32 \q, r0
        .endif
        vqrdmulh.s32 \q, \q, r1
        .if     !\relu
        vdup.32 q2, r3
        vand    q3, \q, q2
        vshr.s32 q3, q3, #31
        vqadd.s32 \q, \q, q3
        .endif
        vrshl.s32 \q, r3
        vadd.i32 \q, \q, q7
        vmax.s32 \q, \q, q4
        vmin.s32 \q, \q, q5
        .endm

/* r0, r2, r4    sums of the three windows, first channel    r6, r8, r10  second channel
 * r1, r3, r5    the windows                                 r7, r9       weights of the channels
 * r11  bytes of a window      r12  scales      lr  bytes left
 * q4, q5  limits              q6  where the three outputs of a channel go     q7  zero point */
        .macro  kernel name, relu
        .global \name
        .thumb_func
        .type   \name, %function
\name:
        push    {r4-r11, lr}
        vpush   {d8-d15}
        ldm     r0!, {r1-r8}
        push    {r1-r8}
        vdup.32 q7, r7
        vldrw.32 q4, [r0]
        vldrw.32 q5, [r0, #16]
        vldrw.32 q6, [r0, #32]
        ldr     r7, [r0, #48]
        ldr     r11, [r0, #52]
        ldr     r12, [r0, #56]
        add     r9, r7, r11
1:      ldrd    r0, r6, [r12], #8       /* biases */
        mov     r2, r0
        mov     r4, r0
        mov     r8, r6
        mov     r10, r6
        ldrd    r1, r3, [sp]
        ldr     r5, [sp, #8]
        dlstp.8 lr, r11
2:      vldrb.8 q0, [r7], #16
        vldrb.8 q2, [r1], #16
        vmladava.s8 r0, q0, q2
        vldrb.8 q1, [r9], #16
        vmladava.s8 r6, q1, q2
        vldrb.8 q3, [r3], #16
        vmladava.s8 r2, q0, q3
        vmladava.s8 r8, q1, q3
        vldrb.8 q2, [r5], #16
        vmladava.s8 r4, q0, q2
        vmladava.s8 r10, q1, q2
        letp    lr, 2b
        vector  q0, r0, r2, r4
        vector  q1, r6, r8, r10
        scale   q0, \relu
        scale   q1, \relu
        ldrd    r2, r3, [sp, #ADVANCE]  /* and OUT */
        vstrb.32 q0, [r3, q6]
        adds    r3, #1
        vstrb.32 q1, [r3, q6]
        adds    r3, #1
        str     r3, [sp, #OUT]
        add     r7, r7, r2
        add     r9, r7, r11
        ldr     r0, [sp, #END]
        cmp     r3, r0
        bne     1b
        add     sp, sp, #32
        vpop    {d8-d15}
        pop     {r4-r11, pc}
        .size   \name, . - \name
        .endm

        kernel  tin_mve_matrix_relu, 1
        kernel  tin_mve_matrix, 0
