/* Where the rows of a tensor lie.
 *
 * Kernels compute a range of output rows and find their input through this view. A whole tensor has
 * as many rows in memory as it has at all; a ring has fewer, and row r lies where row r - count did.
 * Rows of a ring may also lie anywhere, where a table tells. To kernels, that is a ring of one row: no
 * two of its rows are known to lie one behind the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_ROWS_H
#define TIN_ROWS_H

#include "tin.h"

/* The kernels' linkage. A model that compiles kernels into its own translation unit, to specialise
 * them, defines it as `static`; then there are no prototypes either. */
#ifndef TIN_KERNEL
#define TIN_KERNEL
#define TIN_SHARED_KERNELS
#endif

/* A build without such tables may define it as 0. */
#ifndef TIN_ROW_TABLES
#define TIN_ROW_TABLES 1
#endif

/* Nor need a build know of further memories if no model has any. */
#ifndef TIN_MEMORIES
#define TIN_MEMORIES 1
#endif

#define TIN_ROW_UNIT 4            /* bytes that tables count in */
#define TIN_TABLE_STRIDE (1 << 19) /* more than tables reach, so that no two rows seem to lie one behind the other */

typedef struct tin_rows {
    const void *constant; /* first row of a constant in flash; a table of all rows, uint16_t each; or NULL */
    uint32_t offset;      /* place of the first row: see tin_at; 0: constant, 1: table */
    int32_t stride;       /* bytes from one row to the next where they lie one behind the other */
    int32_t count;        /* rows that do; a tensor of one row is broadcast */
} tin_rows;

/* What lies at a place: bytes from the start of the arena, or of a further memory whose number the upper bits tell. */
static inline const uint8_t *tin_at(const uint8_t *arena, uint32_t place)
{
    const uint8_t *memory = arena;
    const uint32_t number = TIN_MEMORIES ? place / TIN_MEMORY_SPAN : 0;
    if (number) memcpy(&memory, arena + (number - 1) * TIN_ADDRESS_BYTES, sizeof memory);
    return memory + (TIN_MEMORIES ? place % TIN_MEMORY_SPAN : place);
}

/* The same for what is to be written. */
static inline uint8_t *tin_room(uint8_t *arena, uint32_t place)
{
    return (uint8_t *)tin_at(arena, place);
}

/* Bytes from the start of the arena to a row that a table tells. */
static inline uint32_t tin_row_place(const tin_rows *t, int32_t row)
{
    return (uint32_t)TIN_ROW_UNIT * ((const uint16_t *)t->constant)[row];
}

static inline const uint8_t *tin_row(const tin_rows *t, const uint8_t *arena, int32_t row)
{
    if (TIN_ROW_TABLES && t->constant && t->offset) return arena + tin_row_place(t, row);
    const uint8_t *base = t->constant ? (const uint8_t *)t->constant : tin_at(arena, t->offset);
    return base + (row < t->count ? row : row % t->count) * t->stride;
}

static inline uint8_t *tin_row_out(const tin_rows *t, uint8_t *arena, int32_t row)
{
    if (TIN_ROW_TABLES && t->constant) return arena + tin_row_place(t, row);
    return tin_room(arena, t->offset) + (row < t->count ? row : row % t->count) * t->stride;
}

#endif /* TIN_ROWS_H */
