/* The loops of depthwise_lines.h, for ARMv7E-M and ARMv8-M Mainline with DSP.
 *
 * While a channel runs:
 *   r0  next column                        r8   weight of the single: tap 2; high half: see tin_dw_channel
 *   r1  next output                        r9   multiplier
 *   r2  the first of two words             r10  zero point, rounding, bias (scratch in `away`)
 *   r3  the second                         r11  bytes between outputs
 *   r4, r5, r6  weights of the pair        r12, r14  accumulators; with stride 1 of two neighbouring outputs,
 *   r7  weights of the single: taps 0, 1             which swap roles from output to output
 * Stack, words:
 *   0, 1  rounding of accumulators from zero up and below zero, 2 bias (`away` only)
 *   3 entry; 4 next channel, 5 its first output
 *
 * An output costs six multiply-accumulate instructions (three words of pixel pairs, three single pixels), two to
 * requantize, and two loads or one with stride 1, where every column serves three outputs. Two outputs are stored with
 * one step of the pointer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

        .set    FAST, 0
        .set    AWAY, 1
        .set    WIDE, 3
        .set    CHANNEL, 32             /* sizeof(tin_dw_channel) */
        .set    BESIDE, 8 * CHANNEL     /* from a channel to its tin_dw_beside */

/* r12 or r14: accumulator -> int8. The product's high half has 16 bits behind the point, or 14. */
        .macro REQUANTIZE acc, kind
        .if     \kind == AWAY
        lsr     r10, \acc, #31
        ldr     r10, [sp, r10, lsl #2]
        .endif
        smmla   \acc, \acc, r9, r10
        .if     \kind == WIDE
        ssat    \acc, #8, \acc, asr #14
        .else
        ssat    \acc, #8, \acc, asr #16
        .endif
        .endm

        .macro NEXT_COLUMN stride
        .if     \stride == 1
        ldrd    r2, r3, [r0], #32
        .else
        ldrd    r2, r3, [r0], #24
        .endif
        .endm

/* An output begins with tap 0, goes on with tap 1, ends with tap 2. `half`: b low, t high. */
        .macro TAP_0 acc, pair, single, half, kind
        .if     \kind == AWAY
        ldr     \acc, [sp, #8]
        smlad   \acc, \pair, r4, \acc
        .else
        smuad   \acc, \pair, r4
        .endif
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

        .macro STORE acc, second
        .if     \second
        strb    \acc, [r1, r11]
        add     r1, r1, r11, lsl #1
        .else
        strb    \acc, [r1]
        .endif
        .endm

/* Stride 1: a column ends one output, continues the next and begins the one after. */
        .macro OUTPUT_1 this, next, pair, single, half, kind, second
        NEXT_COLUMN 1
        TAP_2   \this, \pair, \single, \half
        REQUANTIZE \this, \kind
        TAP_1   \next, \pair, \single, \half
        STORE   \this, \second
        TAP_0   \this, \pair, \single, \half, \kind
        .endm

/* Stride 2: a column continues an output, the next one ends it and begins another. */
        .macro OUTPUT_2 this, next, pair, single, half, kind, second
        NEXT_COLUMN 2
        TAP_1   r12, \pair, \single, \half
        NEXT_COLUMN 2
        TAP_2   r12, \pair, \single, \half
        REQUANTIZE r12, \kind
        STORE   r12, \second
        TAP_0   r12, \pair, \single, \half, \kind
        .endm

        .macro SWAP
        mov     r2, r12
        mov     r12, r14
        mov     r14, r2
        .endm

/* The function `name`. A round has four outputs, and the first is entered at the one from which on it is as long as it
 * must be. With stride 1 an odd entry, that of even widths, finds its accumulators in place; an even one swaps them. */
        .macro LINE name, stride, pair, single, half, kind
        .section .text.\name, "ax", %progbits
        .balign 4
        .global \name
        .thumb_func
        .type   \name, %function
\name:
        push    {r4-r11, lr}
        sub     sp, sp, #24
        mov     r14, r0
        mov     r11, r2
        str     r3, [sp, #12]
1:      ldmia   r14!, {r0, r4-r10}
        adds    r3, r1, #1
        strd    r14, r3, [sp, #16]
        .if     \kind == AWAY
        ldrd    r2, r3, [r14, #BESIDE - CHANNEL]
        str     r10, [sp]
        strd    r2, r3, [sp, #4]
        .endif
        NEXT_COLUMN \stride
        .if     \stride == 1
        TAP_0   r14, \pair, \single, \half, \kind
        NEXT_COLUMN \stride
        TAP_1   r14, \pair, \single, \half
        TAP_0   r12, \pair, \single, \half, \kind
        .else
        TAP_0   r12, \pair, \single, \half, \kind
        .endif
        ldr     r2, [sp, #12]
        tbb     [pc, r2]
        .if     \stride == 1
2:      .byte   (4f - 2b) / 2, (13f - 2b) / 2, (3f - 2b) / 2, (11f - 2b) / 2, (5f - 2b) / 2
        .balign 2
5:      mov     r12, r14
        b       14f
3:      SWAP
        b       12f
4:      SWAP
        .else
2:      .byte   (10f - 2b) / 2, (13f - 2b) / 2, (12f - 2b) / 2, (11f - 2b) / 2
        .balign 2
        .endif
10:     OUTPUT_\stride r12, r14, \pair, \single, \half, \kind, 0
11:     OUTPUT_\stride r14, r12, \pair, \single, \half, \kind, 1
12:     OUTPUT_\stride r12, r14, \pair, \single, \half, \kind, 0
13:     OUTPUT_\stride r14, r12, \pair, \single, \half, \kind, 1
        subs    r8, r8, #0x20000
        bcs     10b
14:
        .if     \stride == 1
        NEXT_COLUMN \stride
        TAP_2   r12, \pair, \single, \half
        REQUANTIZE r12, \kind
        strb    r12, [r1]
        .endif
        lsls    r2, r8, #15
        ldrd    r14, r1, [sp, #16]
        bpl     1b
        add     sp, sp, #24
        pop     {r4-r11, pc}
        .size   \name, . - \name
        .endm

        LINE    tin_dw_1_0l, 1, r2, r3, b, FAST
        LINE    tin_dw_1_1l, 1, r3, r2, b, FAST
        LINE    tin_dw_1_0h, 1, r2, r3, t, FAST
        LINE    tin_dw_1_1h, 1, r3, r2, t, FAST
        LINE    tin_dw_2_0l, 2, r2, r3, b, FAST
        LINE    tin_dw_2_1h, 2, r3, r2, t, FAST
        LINE    tin_dw_1_0l_away, 1, r2, r3, b, AWAY
        LINE    tin_dw_1_1l_away, 1, r3, r2, b, AWAY
        LINE    tin_dw_1_0h_away, 1, r2, r3, t, AWAY
        LINE    tin_dw_1_1h_away, 1, r3, r2, t, AWAY
        LINE    tin_dw_2_0l_away, 2, r2, r3, b, AWAY
        LINE    tin_dw_2_1h_away, 2, r3, r2, t, AWAY
        LINE    tin_dw_1_0l_wide, 1, r2, r3, b, WIDE
        LINE    tin_dw_1_1l_wide, 1, r3, r2, b, WIDE
        LINE    tin_dw_1_0h_wide, 1, r2, r3, t, WIDE
        LINE    tin_dw_1_1h_wide, 1, r3, r2, t, WIDE
        LINE    tin_dw_2_0l_wide, 2, r2, r3, b, WIDE
        LINE    tin_dw_2_1h_wide, 2, r3, r2, t, WIDE
