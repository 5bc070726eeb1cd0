/* What the semihosting port needs from each architecture, and the memory map of link.ld.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

/* One semihosting call; the meaning of the operand depends on the operation. */
uint32_t machine_semihost(uint32_t operation, const void *operand);

/* The stack pointer of the function that calls this. */
uint32_t *machine_stack_pointer(void);

/* Copies .data, clears .bss and leaves with the exit code of main. */
void machine_run_main(void) __attribute__((noreturn));

int main(void);

/* Of these four the address is the value. */
extern uint8_t tin_flash_origin[], tin_flash_size[], tin_ram_origin[], tin_ram_size[];

extern uint32_t tin_stack_bottom[], tin_stack_top[], tin_handler_stack_top[];
extern uint32_t tin_data_start[], tin_data_end[], tin_data_image[];
extern uint32_t tin_bss_start[], tin_bss_end[];

#endif /* MACHINE_H */
