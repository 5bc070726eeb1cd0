/* Where the rows of a tensor lie.
 *
 * Kernels compute a range of output rows and find their input through this view. A whole tensor has
 * as many rows in memory as it has at all; a ring has fewer, and row r lies where row r - count did.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_ROWS_H
#define TIN_ROWS_H

#include <stdint.h>

/* The kernels' linkage. A model that compiles kernels into its own translation unit, to specialise
 * them, defines it as `static`; then there are no prototypes either. */
#ifndef TIN_KERNEL
#define TIN_KERNEL
#define TIN_SHARED_KERNELS
#endif

typedef struct tin_rows {
    const void *constant; /* first row if the tensor is a constant in flash, else NULL */
    uint32_t offset;      /* first row, in bytes from the start of the arena */
    int32_t stride;       /* bytes from one row to the next */
    int32_t count;        /* rows held in memory; a tensor of one row is broadcast */
} tin_rows;

static inline const uint8_t *tin_row(const tin_rows *t, const uint8_t *arena, int32_t row)
{
    const uint8_t *base = t->constant ? (const uint8_t *)t->constant : arena + t->offset;
    return base + (row < t->count ? row : row % t->count) * t->stride;
}

static inline uint8_t *tin_row_out(const tin_rows *t, uint8_t *arena, int32_t row)
{
    return arena + t->offset + (row < t->count ? row : row % t->count) * t->stride;
}

#endif /* TIN_ROWS_H */
