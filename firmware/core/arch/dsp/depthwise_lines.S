/* The loops of depthwise_lines.h, for ARMv7E-M and ARMv8-M Mainline with DSP.
 *
 * While a channel runs:
 *   r0  next column                        r8   weight of the single: tap 2; high half: bytes between outputs
 *   r1  next output                        r9   multiplier
 *   r2  the column's word in slot 0        r10  zero point and rounding (scratch in `away`)
 *   r3  the column's word in slot 1        r11  bias
 *   r4, r5, r6  weights of the pair        r12, r14  accumulators of two neighbouring outputs,
 *   r7  weights of the single: taps 0, 1             which swap roles from output to output
 * Stack, words:
 *   0, 1  rounding of accumulators from zero up and below zero (`away` only)
 *   2 channel, 3 columns, 4 out: stepping from channel to channel
 *   5 end of channels, 6 entry, 7 first channel's last output (stride 1) or what follows it (stride 2)
 *
 * An output costs six multiply-accumulate instructions (three words of pixel pairs, three single pixels), two to
 * requantize, and two loads or one with stride 1, where every column serves three outputs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

/* r12 or r14: accumulator -> int8. The product's high half has 16 bits behind the point. */
        .macro REQUANTIZE acc, away
        .if     \away
        lsr     r10, \acc, #31
        ldr     r10, [sp, r10, lsl #2]
        .endif
        smmla   \acc, \acc, r9, r10
        ssat    \acc, #8, \acc, asr #16
        .endm

        .macro NEXT_COLUMN
        ldrd    r2, r3, [r0], #32
        .endm

/* An output begins with the bias and tap 0, goes on with tap 1, ends with tap 2. `half`: b low, t high. */
        .macro TAP_0 acc, pair, single, half
        smlad   \acc, \pair, r4, r11
        smla\half\()b \acc, \single, r7, \acc
        .endm

        .macro TAP_1 acc, pair, single, half
        smlad   \acc, \pair, r5, \acc
        smla\half\()t \acc, \single, r7, \acc
        .endm

        .macro TAP_2 acc, pair, single, half
        smlad   \acc, \pair, r6, \acc
        smla\half\()b \acc, \single, r8, \acc
        .endm

        .macro STORE acc
        strb    \acc, [r1]
        uxtah   r1, r1, r8, ror #16
        .endm

/* Stride 1: a column ends one output, continues the next and begins the one after. */
        .macro OUTPUT_1 this, next, pair, single, half, away
        NEXT_COLUMN
        TAP_2   \this, \pair, \single, \half
        REQUANTIZE \this, \away
        TAP_1   \next, \pair, \single, \half
        STORE   \this
        TAP_0   \this, \pair, \single, \half
        .endm

/* Stride 2: a column continues an output, the next one ends it and begins another. */
        .macro OUTPUT_2 this, next, pair, single, half, away
        NEXT_COLUMN
        TAP_1   \this, \pair, \single, \half
        NEXT_COLUMN
        TAP_2   \this, \pair, \single, \half
        REQUANTIZE \this, \away
        TAP_0   \next, \pair, \single, \half
        STORE   \this
        .endm

/* The function `name`. The loop has four outputs (`away`, which few models need, two), and is entered at the one from
 * which on the last round is a whole one. */
        .macro LINE name, stride, pair, single, half, away
        .section .text.\name, "ax", %progbits
        .balign 4
        .global \name
        .thumb_func
        .type   \name, %function
\name:
        push    {r4-r11, lr}
        sub     sp, sp, #32
        ldmia   r0, {r2, r3, r5-r7}
        mov     r4, r1
        add     r7, r7, r1
        add     r8, sp, #8
        stmia   r8, {r2-r7}
1:      add     r12, sp, #8
        ldmia   r12, {r0-r2}
        ldmia   r0!, {r3-r11}
        .if     \away
        strd    r10, r3, [sp]
        .endif
        add     r3, r1, #8
        add     r14, r2, #1
        stmia   r12, {r0, r3, r14}
        mov     r0, r1
        mov     r1, r2
        NEXT_COLUMN
        TAP_0   r12, \pair, \single, \half
        .if     \stride == 1
        NEXT_COLUMN
        TAP_1   r12, \pair, \single, \half
        TAP_0   r14, \pair, \single, \half
        .endif
        ldr     r2, [sp, #24]
        tbb     [pc, r2]
        .if     \away
2:      .byte   (12f - 2b) / 2, (3f - 2b) / 2, (12f - 2b) / 2, (3f - 2b) / 2, (14f - 2b) / 2
        .else
2:      .byte   (10f - 2b) / 2, (3f - 2b) / 2, (12f - 2b) / 2, (4f - 2b) / 2, (14f - 2b) / 2
        .endif
        .balign 2
3:      mov     r2, r12
        mov     r12, r14
        mov     r14, r2
        b       13f
        .if     \away == 0
4:      mov     r2, r12
        mov     r12, r14
        mov     r14, r2
        b       11f
10:     OUTPUT_\stride r12, r14, \pair, \single, \half, \away
11:     OUTPUT_\stride r14, r12, \pair, \single, \half, \away
        .endif
12:     OUTPUT_\stride r12, r14, \pair, \single, \half, \away
13:     OUTPUT_\stride r14, r12, \pair, \single, \half, \away
        ldr     r2, [sp, #28]
        cmp     r1, r2
        .if     \away
        blo     12b
        .else
        blo     10b
        .endif
14:
        .if     \stride == 1
        NEXT_COLUMN
        TAP_2   r12, \pair, \single, \half
        REQUANTIZE r12, \away
        strb    r12, [r1]
        .endif
        ldr     r0, [sp, #8]
        ldr     r1, [sp, #20]
        cmp     r0, r1
        blo     1b
        add     sp, sp, #32
        pop     {r4-r11, pc}
        .size   \name, . - \name
        .endm

        LINE    tin_dw_1_0l, 1, r2, r3, b, 0
        LINE    tin_dw_1_1l, 1, r3, r2, b, 0
        LINE    tin_dw_1_0h, 1, r2, r3, t, 0
        LINE    tin_dw_1_1h, 1, r3, r2, t, 0
        LINE    tin_dw_2_0l, 2, r2, r3, b, 0
        LINE    tin_dw_2_1l, 2, r3, r2, b, 0
        LINE    tin_dw_1_0l_away, 1, r2, r3, b, 1
        LINE    tin_dw_1_1l_away, 1, r3, r2, b, 1
        LINE    tin_dw_1_0h_away, 1, r2, r3, t, 1
        LINE    tin_dw_1_1h_away, 1, r3, r2, t, 1
        LINE    tin_dw_2_0l_away, 2, r2, r3, b, 1
        LINE    tin_dw_2_1l_away, 2, r3, r2, b, 1
