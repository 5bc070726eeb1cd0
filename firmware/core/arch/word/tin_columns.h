/* Packing the windows of six stretches of neighbouring outputs a column at a time, so that windows share columns. For all
 * kernels whose blocks are of six pixels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_COLUMNS_H
#define TIN_COLUMNS_H

#include <stddef.h>

#include "tin_math.h"
#include "tin_patches.h"

#define TIN_PIXELS 6 /* of a block */

/* Where a stretch's first window begins; it may be outside of the image. */
typedef struct tin_corner {
    int32_t y, x;
} tin_corner;

/* Where row y begins (NULL: it lies outside), and those behind it; at most `rows` do. */
TIN_INLINE const int8_t *tin_rows_at(const tin_window *w, const uint8_t *arena, int32_t y, int32_t *rows)
{
    const int32_t count = w->in.count;
    if (y >= w->in_h) return NULL;
    if (y < 0) {
        *rows = tin_min(*rows, -y);
        return NULL;
    }
    *rows = tin_min(*rows, tin_min(w->in_h - y, count - (y < count ? y : y % count)));
    return (const int8_t *)tin_row(&w->in, arena, y);
}

/* Where column x of a row and those behind it are read from; at most `columns` then are. */
TIN_INLINE const int8_t *tin_columns_at(const tin_window *w, const int8_t *row, int32_t x, int32_t *columns)
{
    if (row == NULL || x >= w->in_w) return w->padding;
    if (x < 0) {
        *columns = tin_min(*columns, -x);
        return w->padding;
    }
    *columns = tin_min(*columns, w->in_w - x);
    return row + x * w->in_c;
}

/* Taps of six pixels, and how they lie: rows of groups of taps. A row of a pixel's taps is one run of bytes. Assembly
 * knows the order of the fields. */
typedef struct tin_strip {
    const int8_t *from[TIN_PIXELS]; /* first row */
    int32_t skip[TIN_PIXELS];       /* bytes from the end of one row to the next */
    int32_t taps, step;             /* of a group; words from one to the next where they are written */
    int32_t groups, gap;            /* of a row; words more from one to the next */
    int32_t rows, back;             /* and words more from one row to the next */
} tin_strip;

/* A strip of one run of taps, whose `skip` does not matter. */
TIN_INLINE void tin_one_run(tin_strip *s, const int8_t *const from[], int32_t taps)
{
    for (int32_t i = 0; i < TIN_PIXELS; i++) s->from[i] = from[i];
    s->taps = taps;
    s->step = 4;
    s->groups = s->rows = 1;
    s->gap = s->back = 0;
}

/* Writes a strip's taps, four words each. */
typedef uint32_t *tin_pack_strip(uint32_t *to, const tin_strip *strip);

/* Packs strips of `columns` columns, in the order column, row, channel: rectangle by rectangle that lies inside of the
 * image, or outside, for each of the six. `padding` must hold as many columns. */
TIN_INLINE void tin_columns6(const tin_window *w, const uint8_t *arena, const tin_corner from[], int32_t columns,
                             uint32_t *to, tin_pack_strip *pack)
{
    const int32_t depth = w->in_c, height = w->kernel_h, step = 4 * depth * height;
    for (int32_t k = 0, rows; k < height; k += rows, to += 4 * depth * rows) {
        const int8_t *lines[TIN_PIXELS];
        rows = height - k;
        for (int32_t i = 0; i < TIN_PIXELS; i++)
            lines[i] = i > 0 && from[i].y == from[i - 1].y ? lines[i - 1] : tin_rows_at(w, arena, from[i].y + k, &rows);
        for (int32_t at = 0, count; at < columns; at += count) {
            tin_strip s;
            count = columns - at;
            for (int32_t i = 0; i < TIN_PIXELS; i++)
                s.from[i] = tin_columns_at(w, lines[i], from[i].x + at, &count);
            for (int32_t i = 0; i < TIN_PIXELS; i++)
                s.skip[i] = (s.from[i] == w->padding ? 0 : w->in.stride) - count * depth;
            /* Single channels: a row is one group. */
            s.taps = depth > 1 ? depth : count;
            s.step = depth > 1 ? 4 : step;
            s.groups = depth > 1 ? count : 1;
            s.gap = depth > 1 ? step - 4 * depth : 0;
            s.rows = rows;
            s.back = 4 * depth - count * step;
            pack(to + at * step, &s);
        }
    }
}

#endif /* TIN_COLUMNS_H */
