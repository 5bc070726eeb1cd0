/* Turns a trap into a report.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "machine.h"
#include "port.h"

void tin_trap(uint32_t cause, uint32_t pc, uint32_t value, uint32_t ra, uint32_t sp)
    __attribute__((noreturn, used));

/* By the number in mcause. */
static const char *const kinds[] = {
    "unaligned", "bad-call", "illegal-instruction", "illegal-instruction",
    "unaligned", "bad-access", "unaligned", "bad-access",
};

void tin_trap(uint32_t cause, uint32_t pc, uint32_t value, uint32_t ra, uint32_t sp)
{
    port_fault_info fault = {"trap", "", pc, ra, value};
    if (sp < (uint32_t)(uintptr_t)tin_stack_bottom)
        fault.kind = "stack-overflow";
    else if (cause < sizeof kinds / sizeof kinds[0])
        fault.kind = kinds[cause];
    port_fault(&fault);
}
