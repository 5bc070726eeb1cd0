/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROTECT_H
#define PROTECT_H

/* Makes the core fault on every access that the memory map of link.ld does not provide for. */
void protect_memory(void);

#endif /* PROTECT_H */
