/* The loops of depthwise_lines.h.
 *
 * While a channel runs:
 *   r0-r2  weights, products, accumulator    r6   upper multiplier
 *   r3     pixel, 128 added                  r7   next output
 *   r4     next column                       r8-r10  accumulators, which swap roles from output to output
 *   r5     next word of the stream           r11  bytes between outputs,  r12  end of columns,  lr  bias
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb

/* Offsets in the frame, which begins with a copy of most of the tin_dw_line. */
        .equ    STREAM, 0
        .equ    COLUMNS, 4
        .equ    OUT, 8
        .equ    CHANNELS, 12
        .equ    BYTES, 16
        .equ    LOW, 20
        .equ    HIGH, 24
        .equ    FRAME, 28
        .equ    STREAMS, 3 * 64         /* bytes of a channel's streams */
        .equ    WORDS, 4 * 12           /* bytes of weights and the three constants behind them */

/* Accumulator -> byte -> memory; r5 is set back to the weights. */
        .macro EMIT name, acc, kinked
        mov     r0, \acc
        add     r0, r0, lr
        ldmia   r5!, {r1-r3}
        cmp     r0, r1
        bhi     .Lbeyond_\name\acc
        muls    r2, r0, r2
        lsrs    r2, r2, #13
        .if     \kinked
        ldr     r1, [r5]
        cmp     r0, r1
        bhs     1f
        ldr     r1, [r5, #4]
        adds    r2, r2, r1
1:
        .endif
        muls    r0, r6, r0
        adds    r0, r0, r2
        adds    r0, r0, r3
        lsrs    r0, r0, #24
.Lstore_\name\acc:
        strb    r0, [r7]
        add     r7, r7, r11
        subs    r5, #WORDS
        .endm

        .macro BEYOND name, acc
.Lbeyond_\name\acc:
        cmp     r0, #0
        bge     1f
        ldr     r0, [sp, #LOW]
        b       .Lstore_\name\acc
1:      ldr     r0, [sp, #HIGH]
        b       .Lstore_\name\acc
        .endm

/* The first column: tap 0 begins an accumulator. The weights lie at w0, w1, w2 of the stream. */
        .macro FIRST acc, w0, w1, w2
        ldr     r0, [r5, #\w0]
        ldrb    r3, [r4]
        muls    r0, r3, r0
        ldr     r1, [r5, #\w1]
        ldrb    r3, [r4, #1]
        muls    r1, r3, r1
        ldr     r2, [r5, #\w2]
        ldrb    r3, [r4, #2]
        muls    r2, r3, r2
        adds    r0, r0, r1
        adds    r0, r0, r2
        mov     \acc, r0
        adds    r4, #16
        .endm

/* Stride 1, one line of a column: the end of an accumulator, the middle of the next, and the third. */
        .macro LINE_1 byte, ends, goes, new, begin
        ldmia   r5!, {r0-r2}
        ldrb    r3, [r4, #\byte]
        muls    r0, r3, r0
        muls    r1, r3, r1
        muls    r2, r3, r2
        add     \ends, \ends, r0
        add     \goes, \goes, r1
        \begin  \new, r2
        .endm

        .macro OUTPUT_1 name, ends, goes, new, kinked
        LINE_1  0, \ends, \goes, \new, mov
        LINE_1  1, \ends, \goes, \new, add
        LINE_1  2, \ends, \goes, \new, add
        adds    r4, #16
        EMIT    \name, \ends, \kinked
        cmp     r4, r12
        .endm

/* The second column has no accumulator to end. */
        .macro SECOND byte, goes, new, begin
        ldr     r0, [r5, #4 + 12 * \byte]
        ldr     r1, [r5, #8 + 12 * \byte]
        ldrb    r3, [r4, #\byte]
        muls    r0, r3, r0
        muls    r1, r3, r1
        add     \goes, \goes, r0
        \begin  \new, r1
        .endm

/* Stride 2: the first of two columns only goes on, the second ends one accumulator and begins another. */
        .macro LINE_2 byte, ends, new, begin
        ldmia   r5!, {r0, r1}
        ldrb    r3, [r4, #16 + \byte]
        muls    r0, r3, r0
        muls    r1, r3, r1
        add     \ends, \ends, r0
        \begin  \new, r1
        .endm

        .macro OUTPUT_2 name, ends, new, kinked
        ldmia   r5!, {r0-r2}
        ldrb    r3, [r4]
        muls    r0, r3, r0
        ldrb    r3, [r4, #1]
        muls    r1, r3, r1
        ldrb    r3, [r4, #2]
        muls    r2, r3, r2
        adds    r0, r0, r1
        adds    r0, r0, r2
        add     \ends, \ends, r0
        LINE_2  0, \ends, \new, mov
        LINE_2  1, \ends, \new, add
        LINE_2  2, \ends, \new, add
        adds    r4, #32
        EMIT    \name, \ends, \kinked
        cmp     r4, r12
        .endm

        .macro LINES name, stride, kinked
        .section .text.tin_dw_line_\name, "ax", %progbits
        .balign 4
        .global tin_dw_line_\name
        .thumb_func
        .type   tin_dw_line_\name, %function
tin_dw_line_\name:
        push    {r4-r7, lr}
        mov     r4, r8
        mov     r5, r9
        mov     r6, r10
        mov     r7, r11
        push    {r4-r7}
        sub     sp, #FRAME
        ldmia   r0!, {r1-r7}
        ldr     r0, [r0]
        mov     r11, r0
        mov     r0, sp
        stmia   r0!, {r1-r7}

.Lchannel_\name:
        ldr     r5, [sp, #STREAM]
        ldr     r4, [sp, #COLUMNS]
        ldr     r7, [sp, #OUT]
        ldr     r0, [sp, #BYTES]
        adds    r0, r0, r4
        mov     r12, r0
        ldmia   r5!, {r0, r6}
        mov     lr, r0
        cmp     r6, #0
        beq     .Lskip_\name
        .if     \stride == 1
        FIRST   r8, 8, 20, 32
        SECOND  0, r8, r9, mov
        SECOND  1, r8, r9, add
        SECOND  2, r8, r9, add
        adds    r4, #16
        b       .Loutputs_\name
        .else
        FIRST   r8, 16, 24, 32
        b       .Loutputs_\name
        .endif
.Lskip_\name:
        b       .Lnext_\name

        BEYOND  \name, r8
        .if     \stride == 1
.Loutputs_\name:
        OUTPUT_1 \name, r8, r9, r10, \kinked
        beq     .Lskip_\name
        OUTPUT_1 \name, r9, r10, r8, \kinked
        beq     .Lnext_\name
        OUTPUT_1 \name, r10, r8, r9, \kinked
        beq     .Lnext_\name
        b       .Loutputs_\name
        BEYOND  \name, r10
        .else
.Loutputs_\name:
        OUTPUT_2 \name, r8, r9, \kinked
        beq     .Lnext_\name
        OUTPUT_2 \name, r9, r8, \kinked
        beq     .Lnext_\name
        b       .Loutputs_\name
        .endif
        BEYOND  \name, r9

.Lnext_\name:
        ldr     r0, [sp, #CHANNELS]
        subs    r0, #1
        beq     .Lreturn_\name
        str     r0, [sp, #CHANNELS]
        ldr     r0, [sp, #STREAM]
        adds    r0, #STREAMS
        str     r0, [sp, #STREAM]
        ldr     r0, [sp, #COLUMNS]
        adds    r0, #4
        str     r0, [sp, #COLUMNS]
        ldr     r0, [sp, #OUT]
        adds    r0, #1
        str     r0, [sp, #OUT]
        b       .Lchannel_\name
.Lreturn_\name:
        add     sp, #FRAME
        pop     {r4-r7}
        mov     r8, r4
        mov     r9, r5
        mov     r10, r6
        mov     r11, r7
        pop     {r4-r7, pc}
        .size   tin_dw_line_\name, . - tin_dw_line_\name
        .endm

        LINES   1, 1, 0
        LINES   2, 2, 0
        LINES   1_kinked, 1, 1
        LINES   2_kinked, 2, 1

/* tin_dw_load_4, tin_dw_load_1:  r0 to   r1 from   r2 step   r3 count   r4 pixels   r5 0x80808080 */
        .section .text.tin_dw_load_4, "ax", %progbits
        .balign 4
        .global tin_dw_load_4
        .thumb_func
        .type   tin_dw_load_4, %function
tin_dw_load_4:
        push    {r4, r5, lr}
        ldr     r5, =0x80808080
1:      ldr     r4, [r1]
        eors    r4, r4, r5
        strb    r4, [r0]
        lsrs    r4, r4, #8
        strb    r4, [r0, #4]
        lsrs    r4, r4, #8
        strb    r4, [r0, #8]
        lsrs    r4, r4, #8
        strb    r4, [r0, #12]
        adds    r1, r1, r2
        adds    r0, #16
        subs    r3, #1
        bne     1b
        pop     {r4, r5, pc}
        .ltorg
        .size   tin_dw_load_4, . - tin_dw_load_4

        .section .text.tin_dw_load_1, "ax", %progbits
        .balign 4
        .global tin_dw_load_1
        .thumb_func
        .type   tin_dw_load_1, %function
tin_dw_load_1:
        push    {r4, lr}
1:      ldrb    r4, [r1]
        adds    r4, #128
        strb    r4, [r0]
        adds    r1, r1, r2
        adds    r0, #16
        subs    r3, #1
        bne     1b
        pop     {r4, pc}
        .size   tin_dw_load_1, . - tin_dw_load_1
