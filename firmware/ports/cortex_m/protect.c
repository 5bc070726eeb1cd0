/* Memory protection: code can be read and executed, RAM read and written, and nothing else can be
 * touched. The emulated boards answer with zeros where a chip has nothing, so without this a stack
 * that overflows, a stray write into code or a wild pointer would go unnoticed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protect.h"

#include "machine.h"

#define MPU_TYPE (*(volatile uint32_t *)0xe000ed90u)
#define MPU_CTRL (*(volatile uint32_t *)0xe000ed94u)
#define MPU_RNR (*(volatile uint32_t *)0xe000ed98u)
#define MPU_RBAR (*(volatile uint32_t *)0xe000ed9cu)
#define MPU_TYPE_REGIONS 0xff00u

#define FLASH_REGION 0u
#define RAM_REGION 1u

#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8M_BASE__)

#define MPU_RLAR (*(volatile uint32_t *)0xe000eda0u)
#define MPU_MAIR0 (*(volatile uint32_t *)0xe000edc0u)
#define MAIR_NORMAL_UNCACHED 0x44u
#define READ_ONLY (2u << 1)
#define NO_EXECUTE 1u

static void allow(uint32_t region, uint32_t origin, uint32_t size)
{
    MPU_MAIR0 = MAIR_NORMAL_UNCACHED;
    MPU_RNR = region;
    MPU_RBAR = origin | (region == FLASH_REGION ? READ_ONLY : NO_EXECUTE);
    MPU_RLAR = ((origin + size - 1u) & ~31u) | 1u;
}

#else

#define MPU_RASR (*(volatile uint32_t *)0xe000eda0u)
#define NORMAL_MEMORY (1u << 17)
#define READ_ONLY (6u << 24)
#define READ_WRITE (3u << 24)
#define NO_EXECUTE (1u << 28)

/* Regions of this kind have a power of two as their size, and an origin that is a multiple of it. */
static void allow(uint32_t region, uint32_t origin, uint32_t size)
{
    uint32_t log2 = 0;
    while ((size >> log2) > 1u)
        log2++;
    MPU_RNR = region;
    MPU_RBAR = origin;
    MPU_RASR = (region == FLASH_REGION ? READ_ONLY : READ_WRITE | NO_EXECUTE) | NORMAL_MEMORY | ((log2 - 1u) << 1) | 1u;
}

#endif

void protect_memory(void)
{
    if (!(MPU_TYPE & MPU_TYPE_REGIONS))
        return; /* a Cortex-M0: there is nothing below its RAM, which the bus reports */
    allow(FLASH_REGION, (uint32_t)(uintptr_t)tin_flash_origin, (uint32_t)(uintptr_t)tin_flash_size);
    allow(RAM_REGION, (uint32_t)(uintptr_t)tin_ram_origin, (uint32_t)(uintptr_t)tin_ram_size);
    /* No default map, and off again inside the fault handler. */
    MPU_CTRL = 1;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}
