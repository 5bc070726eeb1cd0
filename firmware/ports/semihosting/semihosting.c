/* Request, response, log and exit over the semihosting calls of Arm and RISC-V: the emulator opens
 * request.bin and response.bin in its working directory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "machine.h"
#include "port.h"

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { OPEN_READ_BINARY = 1, OPEN_WRITE_BINARY = 5 };
#define STOPPED_APPLICATION_EXIT 0x20026u
#define NO_FILE 0xffffffffu

static uint32_t request, response;

static uint32_t open_file(const char *name, uint32_t name_bytes, uint32_t mode)
{
    const uint32_t operands[3] = {(uint32_t)(uintptr_t)name, mode, name_bytes};
    const uint32_t file = machine_semihost(SYS_OPEN, operands);
    if (file == NO_FILE) {
        const port_fault_info fault = {"protocol", name, 0, 0, 0};
        port_fault(&fault);
    }
    return file;
}

/* Moves bytes between memory and a file, and returns how many were moved. */
static uint32_t transfer(uint32_t operation, uint32_t file, const void *data, uint32_t bytes)
{
    const uint32_t operands[3] = {file, (uint32_t)(uintptr_t)data, bytes};
    if (bytes == 0)
        return 0;
    return bytes - machine_semihost(operation, operands);
}

void port_init(void)
{
    request = open_file("request.bin", 11, OPEN_READ_BINARY);
    response = open_file("response.bin", 12, OPEN_WRITE_BINARY);
}

uint32_t port_read(void *data, uint32_t bytes)
{
    return transfer(SYS_READ, request, data, bytes);
}

void port_write(const void *data, uint32_t bytes)
{
    if (transfer(SYS_WRITE, response, data, bytes) != bytes) {
        const port_fault_info fault = {"protocol", "the response could not be written", 0, 0, 0};
        port_fault(&fault);
    }
}

void port_log(const char *text)
{
    machine_semihost(SYS_WRITE0, text);
}

void port_exit(int code)
{
    const uint32_t operands[2] = {STOPPED_APPLICATION_EXIT, (uint32_t)code};
    for (;;)
        machine_semihost(SYS_EXIT_EXTENDED, operands);
}
