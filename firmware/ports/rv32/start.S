/* Start-up of an RV32 core in machine mode under an emulator: stacks, write protection, trap entry,
 * semihosting.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .option arch, +zicsr

        .section .vectors, "ax"
        .global tin_reset
tin_reset:
        la      sp, tin_stack_top
        la      tp, tin_tls
        la      t0, tin_handler_stack_top
        csrw    mscratch, t0
        la      t0, trap_entry
        csrw    mtvec, t0

        /* Entry 0: everything below RAM (top of range = the stack's bottom) can be read and executed,
         * not written, and is locked so that it binds machine mode too. A stack that overflows faults
         * however large its frames are. Entry 1 leaves the rest open. */
        la      t0, tin_stack_bottom
        srli    t0, t0, 2
        csrw    pmpaddr0, t0
        li      t0, -1
        csrw    pmpaddr1, t0
        li      t0, 0x1f8d              /* 0: locked, top of range, R-X; 1: NAPOT, RWX */
        csrw    pmpcfg0, t0
        j       machine_run_main

        /* mscratch holds the handler's stack: the application's may be what overflowed. */
        .text
        .balign 4
trap_entry:
        csrrw   sp, mscratch, sp
        csrr    a0, mcause
        csrr    a1, mepc
        csrr    a2, mtval
        mv      a3, ra
        csrr    a4, mscratch
        j       tin_trap

        /* The three instructions are a fixed pattern, uncompressed and on one page. */
        .global machine_semihost
        .balign 16
machine_semihost:
        .option push
        .option norvc
        slli    zero, zero, 0x1f
        ebreak
        srai    zero, zero, 7
        .option pop
        ret

        .global machine_stack_pointer
machine_stack_pointer:
        mv      a0, sp
        ret
