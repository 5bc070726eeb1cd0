/* What C cannot say: the fault entry, semihosting, the stack pointer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
        .syntax unified
        .thumb
        .text

/* Finds the frame that the core pushed (bit 2 of EXC_RETURN says on which stack) and saves the low
 * registers that it did not push. */
        .global tin_fault_entry
        .thumb_func
        .type   tin_fault_entry, %function
tin_fault_entry:
        mrs     r0, psp
        mov     r1, lr
        lsls    r1, r1, #29
        bmi     1f
        mov     r0, sp
1:      push    {r4-r7}
        mov     r1, sp
        bl      tin_fault

        .global machine_semihost
        .thumb_func
        .type   machine_semihost, %function
machine_semihost:
        bkpt    0xab
        bx      lr

        .global machine_stack_pointer
        .thumb_func
        .type   machine_stack_pointer, %function
machine_stack_pointer:
        mov     r0, sp
        bx      lr
