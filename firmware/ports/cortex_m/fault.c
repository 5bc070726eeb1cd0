/* Turns a HardFault into a report: every other fault is left disabled and escalates to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "machine.h"
#include "port.h"

/* What the core pushed when the fault happened. */
typedef struct exception_frame {
    uint32_t r0_r3[4], r12, lr, pc, xpsr;
} exception_frame;

#define XPSR_THUMB (1u << 24)

/* Bytes that one instruction can push: 16 double registers. */
#define LARGEST_PUSH 128u

void tin_fault(const exception_frame *frame, const uint32_t *r4_r7) __attribute__((noreturn, used));

#if defined(__ARM_ARCH_6M__)

/* Address and size in bytes of the access that a 16-bit load or store makes. Size is 0 for anything
 * else and for accesses through the stack pointer, which are aligned. */
static uint32_t access_of(uint32_t opcode, const uint32_t r[8], uint32_t *address)
{
    const uint32_t base = r[(opcode >> 3) & 7u], immediate = (opcode >> 6) & 31u, top = opcode >> 12;
    if (top == 5) {
        static const uint8_t sizes[8] = {4, 2, 1, 1, 4, 2, 1, 2};
        *address = base + r[(opcode >> 6) & 7u];
        return sizes[(opcode >> 9) & 7u];
    }
    if (top == 6 || top == 7 || top == 8) {
        const uint32_t size = top == 6 ? 4u : top == 7 ? 1u : 2u;
        *address = base + immediate * size;
        return size;
    }
    if (top == 12) {
        *address = r[(opcode >> 8) & 7u];
        return 4;
    }
    return 0;
}

/* ARMv6-M has no fault status registers: the instruction itself has to tell. */
static void classify(const exception_frame *frame, const uint32_t *r4_r7, port_fault_info *fault)
{
    uint32_t r[8], size, opcode;
    if (!(frame->xpsr & XPSR_THUMB)) {
        fault->kind = "bad-call";
        return;
    }
    for (uint32_t i = 0; i < 4; i++) {
        r[i] = frame->r0_r3[i];
        r[i + 4] = r4_r7[i];
    }
    opcode = *(const volatile uint16_t *)(uintptr_t)frame->pc;
    if ((opcode & 0xfe00u) == 0xb400u) {
        fault->kind = "stack-overflow"; /* a push that failed while there was room for the frame */
        return;
    }
    size = access_of(opcode, r, &fault->address);
    if (size == 0)
        fault->kind = "illegal-instruction";
    else
        fault->kind = (fault->address & (size - 1u)) != 0 ? "unaligned" : "bad-access";
}

#else

#define CFSR (*(volatile uint32_t *)0xe000ed28u)
#define MMFAR (*(volatile uint32_t *)0xe000ed34u)
#define BFAR (*(volatile uint32_t *)0xe000ed38u)
#define CFSR_MMARVALID (1u << 7)
#define CFSR_BFARVALID (1u << 15)

typedef struct cause {
    uint32_t mask; /* bits of CFSR */
    const char *kind;
} cause;

static const cause causes[] = {
    {0x00020000u | 0x00040000u | 0x00000100u | 0x00000001u, "bad-call"}, /* INVSTATE, INVPC, IBUSERR, IACCVIOL */
    {0x00010000u | 0x00080000u, "illegal-instruction"},                  /* UNDEFINSTR, NOCP */
    {0x01000000u, "unaligned"},
    {0x02000000u, "divide-by-zero"},
    {0x00008e00u | 0x00000082u, "bad-access"}, /* bus and memory faults of loads and stores */
};

static void classify(const exception_frame *frame, const uint32_t *r4_r7, port_fault_info *fault)
{
    const uint32_t status = CFSR;
    (void)frame;
    (void)r4_r7;
    for (uint32_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (status & causes[i].mask) {
            fault->kind = causes[i].kind;
            break;
        }
    }
    if (status & CFSR_BFARVALID)
        fault->address = BFAR;
    else if (status & CFSR_MMARVALID)
        fault->address = MMFAR;
}

#endif

void tin_fault(const exception_frame *frame, const uint32_t *r4_r7)
{
    const uintptr_t bottom = (uintptr_t)tin_stack_bottom;
    port_fault_info fault = {"hard-fault", "", 0, 0, 0};
    /* The core moved the stack pointer but could not push: there is no frame to look at. */
    if ((uintptr_t)frame < bottom) {
        fault.kind = "stack-overflow";
        port_fault(&fault);
    }
    fault.pc = frame->pc;
    fault.caller = frame->lr & ~1u;
    classify(frame, r4_r7, &fault);
    /* A push just below the stack may fail while there is still room for the frame. */
    if (fault.address < bottom && fault.address >= bottom - LARGEST_PUSH)
        fault.kind = "stack-overflow";
    port_fault(&fault);
}
