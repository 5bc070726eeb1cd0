/* Dot products of six pixels and all channels, and their outputs: see tin_thumb1.h.
 *
 * While taps are multiplied, ten instructions for six products:
 *   r0-r3   packed words, then products    r5      next weights
 *   r4      weight                         r6      next packed words
 *   r7      next starts                    r8-r11  sums,  r12  end of the chunk's packed words
 * While outputs are made:
 *   r0-r2   sums, accumulators, outputs    r6      address of a pixel's outputs
 *   r3      scratch                        r7      channel
 *   r4, r5  multipliers m0, m1             r8      bias,  r9  last accumulator,  r12  c
 *   r10, r11  first accumulator that is not negative, and what is added to c below it (kinked only)
 *   lr      next weights
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

/* Offsets in the block, and in the frame, which begins with a copy of it. */
        .equ    OUT, 0
        .equ    RECORD, 24
        .equ    LOW, 28
        .equ    HIGH, 32
        .equ    CHANNEL, 36
        .equ    CHANNELS, 40
        .equ    PACKED, 44
        .equ    STARTS, 48
        .equ    CHUNK_BYTES, 52
        .equ    SKIP, 56
        .equ    SKIP_CODE, 60
        .equ    CHUNKS, 64
        .equ    WEIGHTS, 68
        .equ    SUMS, 72
        .equ    LEFT, 96                /* chunks */
        .equ    BLOCK, 100
        .equ    FRAME, 104

/* Twenty bytes: tin_thumb1.h counts on it. */
        .macro TAP index
        ldmia   r6!, {r0-r3}
        ldrb    r4, [r5, #\index]
        muls    r0, r4, r0
        muls    r1, r4, r1
        muls    r2, r4, r2
        muls    r3, r4, r3
        add     r8, r8, r0
        add     r9, r9, r1
        add     r10, r10, r2
        add     r11, r11, r3
        .endm

/* Two sums of words into three sums of bytes, r0-r2, each 2^20 too large. */
        .macro UNPACK first, second
        mov     r0, \first
        lsrs    r1, r0, #21
        lsls    r0, r0, #11
        lsrs    r0, r0, #11
        mov     r2, \second
        lsls    r3, r1, #10
        subs    r2, r2, r3
        lsrs    r3, r2, #21
        lsls    r3, r3, #11
        adds    r1, r1, r3
        lsls    r2, r2, #11
        lsrs    r2, r2, #11
        .endm

/* r0-r2 are added to three words at r4. */
        .macro ADD_UP
        ldr     r3, [r4]
        adds    r0, r0, r3
        ldr     r3, [r4, #4]
        adds    r1, r1, r3
        ldr     r3, [r4, #8]
        adds    r2, r2, r3
        stmia   r4!, {r0-r2}
        .endm

/* The output of pixel \index from its sum. */
        .macro SCALE name, sum, index, kinked
        add     \sum, \sum, r8
        cmp     \sum, r9
        bhi     .Lbeyond_\name\index
        mov     r3, \sum
        muls    r3, r4, r3
        lsrs    r3, r3, #13
        .if     \kinked
        cmp     \sum, r10
        bhs     1f
        add     r3, r3, r11
1:
        .endif
        muls    \sum, r5, \sum
        adds    \sum, \sum, r3
        add     \sum, \sum, r12
        lsrs    \sum, \sum, #24
.Lstore_\name\index:
        ldr     r6, [sp, #OUT + 4 * \index]
        strb    \sum, [r6, r7]
        .endm

/* Accumulators before the first or behind the last one that the multipliers serve. */
        .macro BEYOND name, sum, index
.Lbeyond_\name\index:
        cmp     \sum, #0
        bge     1f
        ldr     \sum, [sp, #LOW]
        b       .Lstore_\name\index
1:      ldr     \sum, [sp, #HIGH]
        b       .Lstore_\name\index
        .endm

        .macro BLOCK6 name, kinked
        .section .text.tin_block6_\name, "ax", %progbits
        .balign 4
        .global tin_block6_\name
        .thumb_func
        .type   tin_block6_\name, %function
tin_block6_\name:
        push    {r4-r7, lr}
        mov     r4, r8
        mov     r5, r9
        mov     r6, r10
        mov     r7, r11
        push    {r4-r7}
        sub     sp, #FRAME
        str     r0, [sp, #BLOCK]
        mov     r1, sp
        ldmia   r0!, {r2-r7}
        stmia   r1!, {r2-r7}
        ldmia   r0!, {r2-r7}
        stmia   r1!, {r2-r7}
        ldmia   r0!, {r2-r7}
        stmia   r1!, {r2-r7}
        mov     lr, r7
        b       .Lchannel_\name

.Lmany_\name:
        str     r0, [sp, #LEFT]
        movs    r0, #0
        movs    r1, #0
        movs    r2, #0
        add     r4, sp, #SUMS
        stmia   r4!, {r0-r2}
        stmia   r4!, {r0-r2}
        b       .Lchunk_\name

.Lchannel_\name:
        ldr     r6, [sp, #PACKED]
        ldr     r7, [sp, #STARTS]
        ldr     r0, [sp, #CHUNKS]
        cmp     r0, #1
        bne     .Lmany_\name
.Lchunk_\name:
        ldmia   r7!, {r0-r3}
        mov     r8, r0
        mov     r9, r1
        mov     r10, r2
        mov     r11, r3
        ldr     r4, [sp, #CHUNK_BYTES]
        adds    r4, r4, r6
        mov     r12, r4
        mov     r5, lr
        ldr     r4, [sp, #SKIP]
        subs    r5, r5, r4
        ldr     r4, [sp, #SKIP_CODE]
        lsls    r4, r4, #1
        add     pc, pc, r4
        nop
1:      TAP     0
        TAP     1
        TAP     2
        TAP     3
        TAP     4
        TAP     5
        TAP     6
        TAP     7
        TAP     8
        TAP     9
        TAP     10
        TAP     11
        adds    r5, #12
        cmp     r6, r12
        bne     1b
        mov     lr, r5
        ldr     r0, [sp, #CHUNKS]
        cmp     r0, #1
        bne     .Ladd_up_\name
        add     r4, sp, #SUMS
        UNPACK  r8, r9
        stmia   r4!, {r0-r2}
        UNPACK  r10, r11
        stmia   r4!, {r0-r2}
        b       .Lscale_\name

.Ladd_up_\name:
        add     r4, sp, #SUMS
        UNPACK  r8, r9
        ADD_UP
        UNPACK  r10, r11
        ADD_UP
        ldr     r0, [sp, #LEFT]
        subs    r0, #1
        str     r0, [sp, #LEFT]
        beq     .Lscale_\name
        b       .Lchunk_\name

        BEYOND  \name, r0, 0
        BEYOND  \name, r1, 1
        BEYOND  \name, r2, 2

/* A channel without constants: back to the caller. */
.Lexact_\name:
        ldr     r7, [sp, #BLOCK]
        ldr     r0, [sp, #CHANNEL]
        str     r0, [r7, #CHANNEL]
        ldr     r0, [sp, #RECORD]
        str     r0, [r7, #RECORD]
        mov     r0, lr
        str     r0, [r7, #WEIGHTS]
        add     r6, sp, #SUMS
        ldmia   r6!, {r0-r5}
        adds    r7, #SUMS
        stmia   r7!, {r0-r5}
        movs    r0, #1
        b       .Lreturn_\name

.Lscale_\name:
        ldr     r6, [sp, #RECORD]
        ldmia   r6!, {r0-r3}
        cmp     r2, #0
        beq     .Lexact_\name
        .if     \kinked
        ldmia   r6!, {r4, r5}
        mov     r10, r4
        mov     r11, r5
        .endif
        str     r6, [sp, #RECORD]
        mov     r8, r0
        lsrs    r4, r1, #19
        lsls    r1, r1, #13
        lsrs    r1, r1, #13
        mov     r9, r1
        mov     r5, r2
        mov     r12, r3
        ldr     r7, [sp, #CHANNEL]
        add     r6, sp, #SUMS
        ldmia   r6!, {r0-r2}
        SCALE   \name, r0, 0, \kinked
        SCALE   \name, r1, 1, \kinked
        SCALE   \name, r2, 2, \kinked
        add     r6, sp, #SUMS + 12
        ldmia   r6!, {r0-r2}
        SCALE   \name, r0, 3, \kinked
        SCALE   \name, r1, 4, \kinked
        SCALE   \name, r2, 5, \kinked
        adds    r7, #1
        str     r7, [sp, #CHANNEL]
        ldr     r3, [sp, #CHANNELS]
        cmp     r7, r3
        beq     .Ldone_\name
        b       .Lchannel_\name

        BEYOND  \name, r0, 3
        BEYOND  \name, r1, 4
        BEYOND  \name, r2, 5

.Ldone_\name:
        movs    r0, #0
.Lreturn_\name:
        add     sp, #FRAME
        pop     {r4-r7}
        mov     r8, r4
        mov     r9, r5
        mov     r10, r6
        mov     r11, r7
        pop     {r4-r7, pc}
        .size   tin_block6_\name, . - tin_block6_\name
        .endm

        BLOCK6  straight, 0
        BLOCK6  kinked, 1
