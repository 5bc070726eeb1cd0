/* Gathering the windows of a block of output pixels, for convolutions that compute several pixels at once.
 *
 * A block is a few neighbouring output pixels, counted along the rows. Its windows are read in runs: stretches of
 * bytes that lie one behind the other for every pixel of the block. What is done with a run (unpacking, interleaving)
 * is up to the kernel's own `pack`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_PATCHES_H
#define TIN_PATCHES_H

#include "tin_rows.h"

#if defined(__GNUC__)
#define TIN_INLINE static inline __attribute__((always_inline))
#else
#define TIN_INLINE static inline
#endif

#define TIN_BLOCK_MAX 8 /* pixels of the largest block of any kernel */

/* The geometry that every convolution's parameters hold. */
typedef struct tin_window {
    tin_rows in;
    const int8_t *padding; /* in_c bytes that hold the input's zero point */
    int32_t in_h, in_w, in_c, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
} tin_window;

#define TIN_WINDOW(p)                                                                                         \
    {                                                                                                         \
        (p)->in, (p)->padding, (p)->in_h, (p)->in_w, (p)->in_c, (p)->out_w, (p)->kernel_h, (p)->kernel_w,     \
            (p)->stride_h, (p)->stride_w, (p)->dilation_h, (p)->dilation_w, (p)->pad_top, (p)->pad_left       \
    }

/* Writes one run of `bytes` taps of all pixels of the block behind `to`, and returns the new end. */
typedef uint32_t *tin_pack(uint32_t *to, const int8_t *const from[], int32_t bytes);

/* Whether windows are single pixels that lie one behind the other in memory, across rows. */
TIN_INLINE int tin_is_linear(const tin_window *w, int32_t end)
{
    return w->kernel_h * w->kernel_w == 1 && w->stride_h * w->stride_w == 1 && w->pad_top == 0 && w->pad_left == 0 &&
           w->in_w == w->out_w && end <= w->in.count && w->in.stride == w->in_w * w->in_c;
}

/* Packs the windows of `pixels` output pixels (a constant), the first at output row y, column x. Only the first `count`
 * exist; the others repeat the last one. Taps come in the order kernel row, kernel column, channel. */
TIN_INLINE uint32_t *tin_patches(const tin_window *w, const uint8_t *arena, int32_t y, int32_t x, int32_t pixels,
                                 int32_t count, uint32_t *to, tin_pack *pack)
{
    int32_t ys[TIN_BLOCK_MAX], xs[TIN_BLOCK_MAX];
    const int8_t *from[TIN_BLOCK_MAX];
    int inside = w->dilation_w == 1;
    for (int32_t i = 0; i < pixels; i++) {
        ys[i] = y * w->stride_h - w->pad_top;
        xs[i] = x * w->stride_w - w->pad_left;
        inside &= ys[i] == ys[0] && xs[i] >= 0 && xs[i] + w->kernel_w <= w->in_w;
        if (i + 1 < count && ++x == w->out_w) {
            x = 0;
            y++;
        }
    }
    inside &= ys[0] >= 0 && ys[0] + (w->kernel_h - 1) * w->dilation_h < w->in_h;
    for (int32_t ky = 0; ky < w->kernel_h; ky++) {
        if (inside) {
            const int8_t *row = (const int8_t *)tin_row(&w->in, arena, ys[0] + ky * w->dilation_h);
            for (int32_t i = 0; i < pixels; i++) from[i] = row + xs[i] * w->in_c;
            to = pack(to, from, w->kernel_w * w->in_c);
            continue;
        }
        for (int32_t kx = 0; kx < w->kernel_w; kx++) {
            for (int32_t i = 0; i < pixels; i++) {
                const int32_t iy = ys[i] + ky * w->dilation_h, ix = xs[i] + kx * w->dilation_w;
                const int in_image = iy >= 0 && iy < w->in_h && ix >= 0 && ix < w->in_w;
                from[i] = in_image ? (const int8_t *)tin_row(&w->in, arena, iy) + ix * w->in_c : w->padding;
            }
            to = pack(to, from, w->in_c);
        }
    }
    return to;
}

#endif /* TIN_PATCHES_H */
