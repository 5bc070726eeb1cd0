/* Depthwise windows of three by three, sixteen channels at a time: see depthwise_conv_2d.c and tin_mve_nine.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb
        .arch   armv8.1-m.main
        .arch_extension mve
        .text

/* In all macros:
 *   r0, r1, r2  the window's rows in the copy       r4  the weights of tap 4, in the middle
 *   r5  shifts (a low register: VLDRB.S32 takes no other)   r6  bias   r7  multipliers   r8  limits, 16 bytes each
 *   r9, r10     output of the pixel, bytes to the next one   r11 zero point   r3  bytes from window to window
 *   q4 to q7    sums; the others are free. P0 says which channels exist. */

/* The sums of products q2 (even lanes) and q3 (odd lanes) join the 32-bit sums. */
        .macro widen
        vmovlb.s16 q0, q2
        vmovlt.s16 q1, q2
        vadd.i32 q4, q4, q0
        vadd.i32 q5, q5, q1
        vmovlb.s16 q0, q3
        vmovlt.s16 q1, q3
        vadd.i32 q6, q6, q0
        vadd.i32 q7, q7, q1
        .endm

        .macro first x, at, w
        vldrb.8 q0, [\x, #\at]
        vldrb.8 q1, [r4, #\w]
        vmullb.s8 q2, q0, q1
        vmullt.s8 q3, q0, q1
        .endm

/* There is no register left for a product beside both of its factors, so that one of them is loaded twice. */
        .macro second x, at, w
        vldrb.8 q0, [\x, #\at]
        vldrb.8 q1, [r4, #\w]
        vmullb.s8 q0, q0, q1
        vadd.i16 q2, q2, q0
        vldrb.8 q0, [\x, #\at]
        vmullt.s8 q0, q0, q1
        vadd.i16 q3, q3, q0
        .endm

/* Requantizes sums \q, the k-th of four. Without a fused ReLU, negative numbers lose one before they are rounded, but
 * where nothing is shifted out. */
        .macro scale q, k, relu
        vldrw.32 q0, [r7, #16 * \k]
        vldrb.s32 q1, [r5, #4 * \k]
        vqrdmulh.s32 \q, \q, q0
        .if     !\relu
        vand    q2, \q, q1
        vshr.s32 q2, q2, #31
        vqadd.s32 \q, \q, q2
        .endif
        vrshl.s32 \q, \q, q1
        .endm

        .macro kernel name, relu
        .global \name
        .thumb_func
        .type   \name, %function
\name:
        push    {r4-r11, lr}
        vpush   {d8-d15}
        ldm     r0!, {r1-r11, lr}
        vmsr    p0, lr
        mov     lr, r11                 /* pixels */
        ldr     r11, [r0], #4           /* zero point */
        mov     r8, r0
        mov     r0, r1
        add     r1, r0, r2
        add     r2, r1, r2
        dls     lr, lr
1:      vldrw.32 q4, [r6]
        vldrw.32 q5, [r6, #16]
        vldrw.32 q6, [r6, #32]
        vldrw.32 q7, [r6, #48]
        first   r0, 0, -64
        second  r0, 16, -48
        widen
        first   r0, 32, -32
        second  r1, 0, -16
        widen
        first   r1, 16, 0
        second  r1, 32, 16
        widen
        first   r2, 0, 32
        second  r2, 16, 48
        widen
        first   r2, 32, 64
        widen
        scale   q4, 0, \relu
        scale   q5, 1, \relu
        scale   q6, 2, \relu
        scale   q7, 3, \relu
        vqmovnb.s32 q0, q4              /* even lanes */
        vqmovnt.s32 q0, q5
        vqmovnb.s32 q1, q6              /* odd lanes */
        vqmovnt.s32 q1, q7
        vqadd.s16 q0, q0, r11
        vqadd.s16 q1, q1, r11
        vqmovnb.s16 q2, q0              /* all lanes */
        vqmovnt.s16 q2, q1
        vldrb.8 q0, [r8]
        vldrb.8 q1, [r8, #16]
        vmax.s8 q2, q2, q0
        vmin.s8 q2, q2, q1
        vpst
        vstrbt.8 q2, [r9]
        add     r9, r9, r10
        add     r0, r0, r3
        add     r1, r1, r3
        add     r2, r2, r3
        le      lr, 1b
        vpop    {d8-d15}
        pop     {r4-r11, pc}
        .size   \name, . - \name
        .endm

        kernel  tin_mve_nine_relu, 1
        kernel  tin_mve_nine, 0
