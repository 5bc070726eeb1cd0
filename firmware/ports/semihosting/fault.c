/* The fault report, which is one line: a marker, name=value pairs, and the free text at the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "machine.h"
#include "port.h"

volatile int32_t tin_node = -1;
volatile int32_t tin_sample = -1;

/* Hexadecimal on purpose: a Cortex-M0+ has no divide instruction. */
static void log_value(const char *name, uint32_t value)
{
    char text[11] = "0x00000000";
    for (int i = 9; i >= 2; i--, value >>= 4)
        text[i] = "0123456789abcdef"[value & 15u];
    port_log(name);
    port_log(text);
}

void port_fault(const port_fault_info *fault)
{
    port_log("\n@tin-fault kind=");
    port_log(fault->kind);
    log_value(" node=", (uint32_t)tin_node);
    log_value(" sample=", (uint32_t)tin_sample);
    log_value(" pc=", fault->pc);
    log_value(" caller=", fault->caller);
    log_value(" address=", fault->address);
    port_log(" text=");
    port_log(fault->text);
    port_log("\n");
    port_exit(1);
}

void tin_assert_failed(const char *condition)
{
    /* Back into the call itself: what follows it may be another function already. */
    const uint32_t here = ((uint32_t)(uintptr_t)__builtin_return_address(0) & ~1u) - 2u;
    const port_fault_info fault = {"assert", condition, here, 0, 0};
    port_fault(&fault);
}
