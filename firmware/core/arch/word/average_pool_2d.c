/* AVERAGE_POOL_2D, int8, for 32-bit cores without SIMD: sums of four channels in two words.
 *
 * Channels are a multiple of four and windows hold at most 256 pixels; each byte plus 128 is added to 16 bits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"
#include "tin_word.h"

#define PAIRS 0x00ff00ffu

/* The part of a window that lies inside the image. */
typedef struct part {
    int32_t y_first, y_last, x_first, x_last;
} part;

/* Sums of four channels over a part, each byte plus 128: two to a word. */
static TIN_APART void sum_part(const tin_average_pool_2d_word_params *p, const uint8_t *arena, const part *w,
                               int32_t c, uint32_t sums[2])
{
    const int32_t channels = p->channels, bytes = (w->x_last - w->x_first) * channels;
    uint32_t even = 0, odd = 0;
    for (int32_t y = w->y_first; y < w->y_last; y++) {
        const uint8_t *x = tin_row(&p->in, arena, y) + w->x_first * channels + c, *const end = x + bytes;
        for (; x != end; x += channels) {
            const uint32_t v = *(const uint32_t *)(const void *)x ^ 0x80808080u;
            even += v & PAIRS;
            odd += (v >> 8) & PAIRS;
        }
    }
    sums[0] = even;
    sums[1] = odd;
}

static int8_t mean(const tin_average_pool_2d_word_params *p, uint32_t sum, int32_t count)
{
    const int32_t total = (int32_t)sum - 128 * count;
    const int32_t y = (total + (total > 0 ? count / 2 : -(count / 2))) / count;
    return (int8_t)tin_clamp(y, p->low, p->high);
}

TIN_KERNEL void tin_average_pool_2d_word(const tin_average_pool_2d_word_params *p, uint8_t *arena, int32_t row,
                                         int32_t end)
{
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t y0 = row * p->stride_h - p->pad_top;
        int32_t x0 = -p->pad_left;
        for (int32_t i = 0; i < p->out_w; i++, x0 += p->stride_w) {
            const part w = {tin_max(y0, 0), tin_min(y0 + p->kernel_h, p->in_h), tin_max(x0, 0),
                            tin_min(x0 + p->kernel_w, p->in_w)};
            const int32_t count = (w.y_last - w.y_first) * (w.x_last - w.x_first);
            for (int32_t c = 0; c < p->channels; c += 4, out += 4) {
                uint32_t sums[2];
                sum_part(p, arena, &w, c, sums);
                out[0] = mean(p, sums[0] & 0xffff, count);
                out[1] = mean(p, sums[1] & 0xffff, count);
                out[2] = mean(p, sums[0] >> 16, count);
                out[3] = mean(p, sums[1] >> 16, count);
            }
        }
    }
}
