/* Start-up of an Arm Cortex-M under an emulator: vector table, FPU, traps, two stacks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "machine.h"
#include "protect.h"

void tin_reset(void) __attribute__((noreturn));
void tin_fault_entry(void);

#define CCR (*(volatile uint32_t *)0xe000ed14u)
#define CCR_UNALIGN_TRP (1u << 3)
#define CCR_DIV_0_TRP (1u << 4)
#define CPACR (*(volatile uint32_t *)0xe000ed88u)
#define CPACR_FPU_FULL_ACCESS (0xfu << 20)

typedef struct vector_table {
    uint32_t *initial_stack;
    void (*handlers[15])(void);
} vector_table;

/* No interrupt is ever enabled, so the table ends with the core's own exceptions. */
extern const vector_table tin_vectors;
__attribute__((section(".vectors"), used)) const vector_table tin_vectors = {
    tin_handler_stack_top,
    {tin_reset, tin_fault_entry, tin_fault_entry, tin_fault_entry, tin_fault_entry, tin_fault_entry, tin_fault_entry,
     tin_fault_entry, tin_fault_entry, tin_fault_entry, tin_fault_entry, tin_fault_entry, tin_fault_entry,
     tin_fault_entry, tin_fault_entry},
};

void tin_reset(void)
{
#if defined(__ARM_ARCH_6M__)
    /* Always on in a real ARMv6-M core, but not where a Cortex-M3 stands in for one. */
    CCR |= CCR_UNALIGN_TRP;
#else
    CCR |= CCR_DIV_0_TRP;
#endif
#if defined(__ARM_FP)
    CPACR |= CPACR_FPU_FULL_ACCESS;
#endif
    protect_memory();
    /* The application runs on the process stack, so that its overflow leaves the main stack to the
     * fault handler. */
    __asm__ volatile(".syntax unified\n\t"
                     "msr psp, %0\n\t"
                     "movs r0, #2\n\t"
                     "msr control, r0\n\t"
                     "isb\n\t"
                     "bl machine_run_main"
                     :
                     : "r"(tin_stack_top)
                     : "r0", "memory");
    __builtin_unreachable();
}
