/* What an application may ask of the machine below it. A port holds start-up, transport and fault
 * reporting, nothing else. Generated models and kernels are compiled with this header included in
 * front of them, so that the two hooks of tin.h lead here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

/* Node that runs now: stored by tin_on_node, -1 outside a model. Fault reports name it, and it can
 * be read from outside while a node hangs. */
extern volatile int32_t tin_node;

/* Sample that is being computed, -1 before the first. */
extern volatile int32_t tin_sample;

/* Supplied by the application (firmware) or by the host port (shared library). */
void tin_on_node(int index);

/* Reports the failed condition and ends the program. */
void tin_assert_failed(const char *condition) __attribute__((noreturn, cold));

#ifdef PORT_ON_NODE
#define TIN_ON_NODE(index) tin_on_node((int)(index))
#endif

#ifdef PORT_ASSERT
#define TIN_ASSERT(condition) ((condition) ? (void)0 : tin_assert_failed(#condition))
#endif

/* A fault as it is reported. Addresses that are not known are 0. */
typedef struct port_fault_info {
    const char *kind;  /* one word, see emulate.py */
    const char *text;  /* anything else worth saying, one line */
    uint32_t pc;       /* instruction that faulted */
    uint32_t caller;   /* return address register at that moment */
    uint32_t address;  /* data address that was refused */
} port_fault_info;

/* Opens the request for reading and the response for writing. */
void port_init(void);

/* Reads up to `bytes` of the request and returns how many there were. */
uint32_t port_read(void *data, uint32_t bytes);

/* Appends to the response. */
void port_write(const void *data, uint32_t bytes);

/* Writes text for people. */
void port_log(const char *text);

/* Ends the program with an exit code. */
void port_exit(int code) __attribute__((noreturn));

/* Reports a fault on one line that programs can read, and ends the program with code 1. */
void port_fault(const port_fault_info *fault) __attribute__((noreturn, cold));

/* Fills the unused part of the caller's stack with a pattern. */
void port_stack_paint(void);

/* Most bytes of stack used below the frame that called port_stack_paint, since then. */
uint32_t port_stack_used(void);

#endif /* PORT_H */
