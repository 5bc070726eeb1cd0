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

        /* Five ranges, each from the one before up to its address (in words): nothing, code (R-X), nothing, RAM (RW-), and
         * nothing above. All are locked, which makes them bind machine mode too. A stack that
         * overflows faults however large its frames are, and so does a stray write into code. */
        la      t0, tin_flash_origin
        srli    t0, t0, 2
        csrw    pmpaddr0, t0
        la      t0, tin_flash_origin
        la      t1, tin_flash_size
        add     t0, t0, t1
        srli    t0, t0, 2
        csrw    pmpaddr1, t0
        la      t0, tin_ram_origin
        srli    t0, t0, 2
        csrw    pmpaddr2, t0
        la      t0, tin_handler_stack_top
        srli    t0, t0, 2
        csrw    pmpaddr3, t0
        li      t0, -1
        csrw    pmpaddr4, t0
        li      t0, 0x88
        csrw    pmpcfg1, t0
        li      t0, 0x8b888d88
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
