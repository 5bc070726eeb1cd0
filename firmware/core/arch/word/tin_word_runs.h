/* Gathering windows whose rows are short: a row of taps of one pixel is one run of bytes, copied where it reaches beyond
 * the image. (tin_patches.h goes tap by tap there, which pays for long taps.)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_WORD_RUNS_H
#define TIN_WORD_RUNS_H

#include "tin_word_dot.h"

/* Copies the run that begins at column x of a row, with padding for what lies outside. Returns the copy. */
static TIN_APART const int8_t *tin_copy_run(const tin_window *w, const int8_t *row, int32_t x, int8_t *to)
{
    const int32_t left = tin_clamp(-x, 0, w->kernel_w) * w->in_c;
    const int32_t inside = tin_clamp(w->in_w - x, 0, w->kernel_w) * w->in_c, run = w->kernel_w * w->in_c;
    const int8_t *from = row + x * w->in_c;
    int32_t i = 0;
    for (; i < left; i++) to[i] = w->padding[0];
    for (; i < inside; i++) to[i] = from[i];
    for (; i < run; i++) to[i] = w->padding[0];
    return to;
}

/* Packs the windows of a block as tin_patches does. `padding` must hold a whole run, `copies` has room for six. */
static TIN_APART uint32_t *tin_runs6(const tin_window *w, const uint8_t *arena, int32_t y, int32_t x, int32_t count,
                                     uint32_t *to, int8_t *copies)
{
    const int32_t run = w->kernel_w * w->in_c, most_x = w->in_w - w->kernel_w;
    int32_t ys[TIN_PIXELS], xs[TIN_PIXELS];
    for (int32_t i = 0; i < TIN_PIXELS; i++) {
        ys[i] = y * w->stride_h - w->pad_top;
        xs[i] = x * w->stride_w - w->pad_left;
        if (i + 1 < count && ++x == w->out_w) {
            x = 0;
            y++;
        }
    }
    for (int32_t down = 0, k = 0; k < w->kernel_h; k++, down += w->dilation_h) {
        const int8_t *from[TIN_PIXELS], *row = NULL;
        int8_t *copy = copies;
        for (int32_t i = 0; i < TIN_PIXELS; i++) {
            const int32_t iy = ys[i] + down;
            if (i == 0 || ys[i] != ys[i - 1])
                row = iy >= 0 && iy < w->in_h ? (const int8_t *)tin_row(&w->in, arena, iy) : NULL;
            if (row == NULL) {
                from[i] = w->padding;
            } else if (xs[i] >= 0 && xs[i] <= most_x) {
                from[i] = row + xs[i] * w->in_c;
            } else {
                from[i] = tin_copy_run(w, row, xs[i], copy);
                copy += run;
            }
        }
        to = tin_pack6(to, from, run);
    }
    return to;
}

#endif /* TIN_WORD_RUNS_H */
