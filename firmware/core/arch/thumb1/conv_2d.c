/* CONV_2D, int8, for ARMv6-M: blocks of six pixels, three in two words, and one channel after the other.
 *
 * A block's windows are packed into the scratch, 16 bytes a tap, and then read once for every channel. Where windows
 * overlap, each of the six pixels is the first of a stretch of `span` neighbours: their windows are packed as one strip
 * of columns.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>

#include "tin_ops.h"
#include "tin_thumb1.h"

/* Where the block's outputs go and its windows begin, the first at output row y, column x. Only `count` stretches exist;
 * the others are the last one once more. */
static TIN_APART void block6_place(const tin_conv_2d_thumb1_params *p, uint8_t *arena, int32_t y, int32_t x,
                                   int32_t count, tin_block6 *b, tin_corner *from)
{
    const int32_t next = p->span * p->out_c;
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, y) + x * p->out_c;
    tin_corner at = { y * p->stride_h - p->pad_top, x * p->stride_w - p->pad_left };
    for (int32_t i = 0;; i++) {
        from[i] = at;
        b->out[i] = out;
        if (i + 1 == TIN_PIXELS) return;
        if (i + 1 >= count) continue;
        out += next;
        at.x += p->span * p->stride_w;
        if ((x += p->span) == p->out_w) {
            x = 0;
            out = (int8_t *)tin_row_out(&p->out, arena, ++y);
            at.x = -p->pad_left;
            at.y += p->stride_h;
        }
    }
}

/* Packs one run of taps. */
static TIN_APART uint32_t *block6_pack(uint32_t *to, const int8_t *const from[], int32_t taps)
{
    tin_strip s;
    tin_one_run(&s, from, taps);
    return tin_pack6_strip(to, &s);
}

/* Packs windows of single pixels that lie one behind the other. */
static void block6_pack_linear(const tin_conv_2d_thumb1_params *p, const int8_t *x, int32_t count, uint32_t *to)
{
    const int8_t *from[TIN_PIXELS];
    for (int32_t i = 0; i < TIN_PIXELS; i++) {
        from[i] = x;
        if (i + 1 < count) x += p->in_c;
    }
    block6_pack(to, from, p->in_c);
}

static TIN_APART void block6_columns(const tin_window *w, const uint8_t *arena, const tin_corner *from, int32_t columns,
                                     uint32_t *to)
{
    tin_columns6(w, arena, from, columns, to, tin_pack6_strip);
}

/* The outputs of a channel that has no constants. */
static void block6_exact(const tin_conv_2d_thumb1_params *p, tin_block6 *b)
{
    const int32_t *constants = p->scales + b->record[0];
    for (int32_t i = 0; i < TIN_PIXELS; i++)
        b->out[i][b->channel] = tin_exact(b->sums[i], constants, p->out_zero, p->low, p->high);
    b->channel++;
    b->record += p->scale_words;
}

/* All channels of one pixel of each stretch, whose windows are packed at `x`. */
static void block6_run(const tin_conv_2d_thumb1_params *p, const uint32_t *x, tin_block6 *b, uint32_t *starts)
{
    b->packed = x;
    b->record = p->scales;
    b->weights = p->weights;
    for (int32_t i = 0; i < p->chunks; i++, x += 4 * p->chunk) tin_starts6(x, x + 4 * p->chunk, starts + 4 * i);
    for (b->channel = 0; b->channel < p->out_c; block6_exact(p, b)) {
        const int32_t more = p->scale_words == 4 ? tin_block6_straight(b) : tin_block6_kinked(b);
        if (!more) return;
    }
}

TIN_KERNEL void tin_conv_2d_thumb1(const tin_conv_2d_thumb1_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const tin_window window = TIN_WINDOW(p);
    const int linear = tin_is_linear(&window, end);
    const int32_t advance = 4 * p->stride_w * p->kernel_h * p->in_c; /* words from one window of a strip to the next */
    uint32_t *const packed = (uint32_t *)(void *)tin_room(arena, p->scratch);
    uint32_t *const starts = packed + (p->span - 1) * advance + 4 * p->chunk * p->chunks;
    tin_block6 block = { .low = p->low, .high = p->high, .channels = p->out_c, .starts = starts,
                         .chunk_bytes = 16 * p->chunk, .chunks = p->chunks };
    int32_t left = (end - row) * p->out_w;
    block.skip = (TIN_UNROLLED - p->chunk % TIN_UNROLLED) % TIN_UNROLLED;
    block.skip_code = block.skip * TIN_TAP_CODE;
    for (int32_t y = row, x = 0; left > 0; left -= TIN_PIXELS * p->span) {
        const int32_t count = left < TIN_PIXELS * p->span ? left / p->span : TIN_PIXELS;
        tin_corner from[TIN_PIXELS];
        block6_place(p, arena, y, x, count, &block, from);
        if (TIN_CONV_2D_THUMB1_LINEAR && linear)
            block6_pack_linear(p, (const int8_t *)tin_row(&p->in, arena, y) + x * p->in_c, count, packed);
        else if (TIN_CONV_2D_THUMB1_COLUMNS && p->columns > 0)
            block6_columns(&window, arena, from, p->columns, packed);
        else if (TIN_CONV_2D_THUMB1_ROWS)
            tin_patches(&window, arena, y, x, TIN_PIXELS, count, packed, block6_pack);
        /* Taps that fill up the last chunk have weights of zero: what they are multiplied with does not matter. */
        block6_run(p, packed, &block, starts);
        for (int32_t i = 1; i < p->span; i++) {
            for (int32_t k = 0; k < TIN_PIXELS; k++) block.out[k] += p->out_c;
            block6_run(p, packed + i * advance, &block, starts);
        }
        for (x += TIN_PIXELS * p->span; x >= p->out_w; x -= p->out_w) y++;
    }
}
