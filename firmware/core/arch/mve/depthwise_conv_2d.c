/* DEPTHWISE_CONV_2D, int8, for cores with integer vectors: sixteen channels at a time.
 *
 * What the windows of a few pixels see of sixteen channels is copied to scratch, [rows][columns][16], with padding.
 * Products of bytes fill 16 bits, and two of them fit if their weights are not both -128; such sums are widened.
 * VMULLB and VMULLT part even and odd lanes, twice: accumulator k holds lanes 4 * i + (0, 2, 1, 3)[k].
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>

#include "tin_math.h"
#include "tin_mve.h"
#include "tin_mve_nine.h"
#include "tin_ops.h"

#define MVE_LANES 16

typedef struct mve_sums {
    int32x4_t k0, k1, k2, k3;
} mve_sums;

/* One group of channels of a row. */
typedef struct mve_group {
    const int8_t *weights;     /* [taps][16] */
    const int32_t *bias;       /* [4][4], as sums lie */
    const int32_t *multiplier; /* the same */
    const int8_t *shift;       /* the same */
    mve_pred16_t there;        /* channels that exist */
    uint8x16_t source;         /* their places in the input, from `first` on */
    int32_t first;
} mve_group;

TIN_MVE_INLINE void mve_add_wide(mve_sums *s, int16x8_t even, int16x8_t odd)
{
    s->k0 = vaddq_s32(s->k0, vmovlbq_s16(even));
    s->k1 = vaddq_s32(s->k1, vmovltq_s16(even));
    s->k2 = vaddq_s32(s->k2, vmovlbq_s16(odd));
    s->k3 = vaddq_s32(s->k3, vmovltq_s16(odd));
}

TIN_MVE_INLINE void mve_add_one(mve_sums *s, const int8_t *x, const int8_t *w)
{
    const int8x16_t xs = vldrbq_s8(x), ws = vldrbq_s8(w);
    mve_add_wide(s, vmullbq_int_s8(xs, ws), vmulltq_int_s8(xs, ws));
}

TIN_MVE_INLINE void mve_add_two(mve_sums *s, const int8_t *x0, const int8_t *w0, const int8_t *x1, const int8_t *w1)
{
    int8x16_t xs = vldrbq_s8(x0), ws = vldrbq_s8(w0);
    int16x8_t even = vmullbq_int_s8(xs, ws), odd = vmulltq_int_s8(xs, ws);
    xs = vldrbq_s8(x1);
    ws = vldrbq_s8(w1);
    even = vaddq_s16(even, vmullbq_int_s8(xs, ws));
    odd = vaddq_s16(odd, vmulltq_int_s8(xs, ws));
    mve_add_wide(s, even, odd);
}

TIN_MVE_INLINE void mve_sum_taps(mve_sums *s, const tin_depthwise_conv_2d_mve_params *p, const int8_t *x,
                                 const int8_t *w)
{
    const int32_t step = p->dilation_w * MVE_LANES;
    for (int32_t i = 0; i < p->kernel_h; i++, x += p->tile_w * MVE_LANES) {
        const int8_t *at = x;
        int32_t left = p->kernel_w;
        for (; left >= 2; left -= 2, at += 2 * step, w += 2 * MVE_LANES)
            mve_add_two(s, at, w, at + step, w + MVE_LANES);
        if (left > 0) {
            mve_add_one(s, at, w);
            w += MVE_LANES;
        }
    }
}

TIN_MVE_INLINE int32x4_t mve_scaled(const mve_group *g, int32x4_t x, int32_t k)
{
    return tin_mve_requantize(x, vldrwq_s32(g->multiplier + 4 * k), vldrbq_s32(g->shift + 4 * k));
}

/* Sixteen outputs in order. Narrowing saturates, and beyond 16 bits the zero point makes no difference. */
TIN_MVE_INLINE int8x16_t mve_narrowed(const tin_depthwise_conv_2d_mve_params *p, const mve_group *g, const mve_sums *s)
{
    const int16_t zero = (int16_t)p->out_zero;
    int16x8_t even = vqmovnbq_s32(vdupq_n_s16(0), mve_scaled(g, s->k0, 0));
    even = vqmovntq_s32(even, mve_scaled(g, s->k1, 1));
    int16x8_t odd = vqmovnbq_s32(vdupq_n_s16(0), mve_scaled(g, s->k2, 2));
    odd = vqmovntq_s32(odd, mve_scaled(g, s->k3, 3));
    const int8x16_t y = vqmovnbq_s16(vdupq_n_s8(0), vqaddq_n_s16(even, zero));
    return vqmovntq_s16(y, vqaddq_n_s16(odd, zero));
}

/* `count` neighbouring pixels of a group. */
static void mve_any_pixels(const tin_depthwise_conv_2d_mve_params *p, const mve_group *g, const int8_t *x, int8_t *out,
                       int32_t count)
{
    const int8x16_t low = vdupq_n_s8(p->low), high = vdupq_n_s8(p->high);
    for (; count > 0; count--, x += p->stride_w * MVE_LANES, out += p->out_c) {
        mve_sums s = { vldrwq_s32(g->bias), vldrwq_s32(g->bias + 4), vldrwq_s32(g->bias + 8),
                       vldrwq_s32(g->bias + 12) };
        mve_sum_taps(&s, p, x, g->weights);
        vstrbq_p_s8(out, vminq_s8(vmaxq_s8(mve_narrowed(p, g, &s), low), high), g->there);
    }
}

static void mve_nine_pixels(const tin_depthwise_conv_2d_mve_params *p, const mve_group *g, const int8_t *x, int8_t *out,
                        int32_t count)
{
    tin_mve_nine_block block;
    block.x = x;
    block.out = out;
    block.out_step = p->out_c;
    block.count = count;
    block.unused = 0;
    block.row = p->tile_w * MVE_LANES;
    block.step = p->stride_w * MVE_LANES;
    block.middle = g->weights + 4 * MVE_LANES;
    block.shift = g->shift;
    block.bias = g->bias;
    block.multiplier = g->multiplier;
    block.there = g->there;
    block.zero = p->out_zero;
    vstrbq_s8(block.low, vdupq_n_s8(p->low));
    vstrbq_s8(block.high, vdupq_n_s8(p->high));
    if (p->relu)
        tin_mve_nine_relu(&block);
    else
        tin_mve_nine(&block);
}

/* Copies a group's channels of input columns x to x + tile_w - 1. */
static void mve_copy_row(const tin_depthwise_conv_2d_mve_params *p, const mve_group *g, const int8_t *row, int32_t x,
                     int8_t *to)
{
    const int8x16_t padding = vdupq_n_s8(p->pad_value);
    const int32_t from = row ? tin_clamp(-x, 0, p->tile_w) : p->tile_w, until = tin_clamp(p->in_w - x, from, p->tile_w);
    int32_t i = 0;
    for (; i < from; i++, to += MVE_LANES) vstrbq_s8(to, padding);
    if (until > from) row += (x + from) * p->in_c + g->first;
    if (p->in_c == p->out_c) {
        to = tin_mve_collect(to, row, p->in_c, until - i, g->there);
        i = until;
    } else
        for (; i < until; i++, to += MVE_LANES, row += p->in_c)
            vstrbq_s8(to, vldrbq_gather_offset_z_s8(row, g->source, g->there));
    for (; i < p->tile_w; i++, to += MVE_LANES) vstrbq_s8(to, padding);
}

static void mve_copy_tile(const tin_depthwise_conv_2d_mve_params *p, uint8_t *arena, const mve_group *g, int32_t y,
                      int32_t x)
{
    int8_t *to = (int8_t *)tin_room(arena, p->scratch);
    for (int32_t i = 0; i < p->kernel_h; i++, y += p->dilation_h, to += p->tile_w * MVE_LANES) {
        const int inside = y >= 0 && y < p->in_h;
        mve_copy_row(p, g, inside ? (const int8_t *)tin_row(&p->in, arena, y) : NULL, x, to);
    }
}

static mve_group mve_group_at(const tin_depthwise_conv_2d_mve_params *p, int32_t c)
{
    const int32_t multiplier = p->out_c / p->in_c;
    uint8_t source[MVE_LANES];
    mve_group g = { p->weights + c * p->kernel_h * p->kernel_w, p->bias + c, p->multiplier + c, p->shift + c,
                   vctp8q((uint32_t)(p->out_c - c)), vdupq_n_u8(0), c / multiplier };
    if (multiplier > 1) {
        for (int32_t i = 0; i < MVE_LANES; i++) source[i] = (uint8_t)((c + i) / multiplier - g.first);
        g.source = vldrbq_u8(source);
    }
    return g;
}

TIN_KERNEL void tin_depthwise_conv_2d_mve(const tin_depthwise_conv_2d_mve_params *p, uint8_t *arena, int32_t row,
                                          int32_t end)
{
    const int8_t *tile = (const int8_t *)tin_room(arena, p->scratch);
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t y = row * p->stride_h - p->pad_top;
        for (int32_t x = 0; x < p->out_w; x += p->tile_out) {
            const int32_t count = tin_min(p->out_w - x, p->tile_out);
            for (int32_t c = 0; c < p->out_c; c += MVE_LANES) {
                const mve_group g = mve_group_at(p, c);
                int8_t *to = out + x * p->out_c + c;
                mve_copy_tile(p, arena, &g, y, x * p->stride_w - p->pad_left);
                if (p->nine)
                    mve_nine_pixels(p, &g, tile, to, count);
                else
                    mve_any_pixels(p, &g, tile, to, count);
            }
        }
    }
}
