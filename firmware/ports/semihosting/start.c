/* The part of start-up that is the same everywhere. It runs on the application's stack.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "machine.h"
#include "port.h"

void machine_run_main(void)
{
    const uint32_t *from = tin_data_image;
    for (uint32_t *to = tin_data_start; to < tin_data_end; to++)
        *to = *from++;
    for (uint32_t *to = tin_bss_start; to < tin_bss_end; to++)
        *to = 0;
    port_exit(main());
}
