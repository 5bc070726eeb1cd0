/* CONV_2D, int8, for ARMv6-M: blocks of six pixels, three in two words, and one channel after the other.
 *
 * A block's windows are packed into the scratch, 16 bytes a tap, and then read once for every channel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>

#include "tin_ops.h"
#include "tin_patches.h"
#include "tin_thumb1.h"

/* Where the outputs of the block's pixels go, the first of which is at row y, column x. Only the first `count` exist;
 * the others are the last one once more. */
static TIN_APART void block6_place(const tin_conv_2d_thumb1_params *p, uint8_t *arena, int32_t y, int32_t x,
                                   int32_t count, tin_block6 *b)
{
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, y) + x * p->out_c;
    for (int32_t i = 0; i < TIN_PIXELS; i++) {
        b->out[i] = out;
        if (i + 1 >= count) continue;
        out += p->out_c;
        if (++x == p->out_w) {
            x = 0;
            out = (int8_t *)tin_row_out(&p->out, arena, ++y);
        }
    }
}

/* Packs windows of single pixels that lie one behind the other. */
static uint32_t *block6_pack_linear(const tin_conv_2d_thumb1_params *p, const int8_t *x, int32_t count, uint32_t *to)
{
    const int8_t *from[TIN_PIXELS];
    for (int32_t i = 0; i < TIN_PIXELS; i++) {
        from[i] = x;
        if (i + 1 < count) x += p->in_c;
    }
    return tin_pack6(to, from, p->in_c);
}

/* A pixel of a block whose windows are gathered a row of taps at a time. */
typedef struct block6_pixel {
    int32_t y, at;       /* first input row; bytes from the start of a row to its first tap, perhaps negative */
    int32_t reaches_out; /* whether some taps lie beside the image */
    int32_t left, right; /* bytes of a row of taps that lie left of the image, and those from where on it has ended */
} block6_pixel;

/* Copies a row of taps that begins at `from`, with padding for what lies outside; returns the copy. */
static TIN_APART const int8_t *block6_copy(const int8_t *from, const block6_pixel *pixel, int32_t run, int8_t pad,
                                           int8_t *to)
{
    for (int32_t i = 0; i < run; i++) to[i] = i < pixel->left || i >= pixel->right ? pad : from[i];
    return to;
}

/* The pixels of the block that begins at row y, column x; those from `count` on are the last one once more. */
static TIN_APART void block6_pixels(const tin_conv_2d_thumb1_params *p, int32_t y, int32_t x, int32_t count,
                                    block6_pixel *pixel)
{
    for (int32_t i = 0; i < TIN_PIXELS; i++, pixel++) {
        const int32_t column = x * p->stride_w - p->pad_left;
        pixel->y = y * p->stride_h - p->pad_top;
        pixel->at = column * p->in_c;
        pixel->left = tin_clamp(-column, 0, p->kernel_w) * p->in_c;
        pixel->right = tin_clamp(p->in_w - column, 0, p->kernel_w) * p->in_c;
        pixel->reaches_out = column < 0 || column + p->kernel_w > p->in_w;
        if (i + 1 < count && ++x == p->out_w) {
            x = 0;
            y++;
        }
    }
}

/* Packs windows like tin_patches, but a whole row of taps at once also where it reaches beyond the image: it is copied
 * then. That pays where rows of taps are short. */
static TIN_APART uint32_t *block6_runs(const tin_conv_2d_thumb1_params *p, const uint8_t *arena, int32_t y,
                                       int32_t x, int32_t count, uint32_t *to, int8_t *copies)
{
    const int32_t run = p->kernel_w * p->in_c;
    block6_pixel pixels[TIN_PIXELS];
    block6_pixels(p, y, x, count, pixels);
    const block6_pixel *const end = pixels + TIN_PIXELS;
    for (int32_t k = p->kernel_h, down = 0; k > 0; k--, down += p->dilation_h) {
        const int8_t *from[TIN_PIXELS], **next = from;
        int8_t *copy = copies;
        for (const block6_pixel *pixel = pixels; pixel != end;) {
            const int32_t first = pixel->y, row = first + down;
            if (row < 0 || row >= p->in_h) {
                do *next++ = p->padding;
                while (++pixel != end && pixel->y == first);
                continue;
            }
            const int8_t *const bytes = (const int8_t *)tin_row(&p->in, arena, row);
            do {
                const int8_t *taps = bytes + pixel->at;
                if (pixel->reaches_out) {
                    taps = block6_copy(taps, pixel, run, p->padding[0], copy);
                    copy += run;
                }
                *next++ = taps;
            } while (++pixel != end && pixel->y == first);
        }
        to = tin_pack6(to, from, run);
    }
    return to;
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

/* All channels of a block whose windows are packed. */
static void block6_run(const tin_conv_2d_thumb1_params *p, tin_block6 *b)
{
    b->record = p->scales;
    b->weights = p->weights;
    for (b->channel = 0; b->channel < p->out_c; block6_exact(p, b)) {
        const int32_t more = p->scale_words == 4 ? tin_block6_straight(b) : tin_block6_kinked(b);
        if (!more) return;
    }
}

TIN_KERNEL void tin_conv_2d_thumb1(const tin_conv_2d_thumb1_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const tin_window window = TIN_WINDOW(p);
    const int linear = tin_is_linear(&window, end);
    uint32_t *packed = (uint32_t *)(void *)(arena + p->scratch);
    uint32_t *const packed_end = packed + 4 * p->chunk * p->chunks;
    int8_t *const copies = (int8_t *)(packed_end + 4 * p->chunks);
    tin_block6 block = { .low = p->low, .high = p->high, .channels = p->out_c, .packed = packed, .starts = packed_end,
                         .chunk_bytes = 16 * p->chunk, .chunks = p->chunks };
    int32_t left = (end - row) * p->out_w;
    block.skip = (TIN_UNROLLED - p->chunk % TIN_UNROLLED) % TIN_UNROLLED;
    block.skip_code = block.skip * TIN_TAP_CODE;
    for (int32_t y = row, x = 0; left > 0; left -= TIN_PIXELS) {
        const int32_t count = tin_min(left, TIN_PIXELS);
        uint32_t *to;
        if (linear)
            to = block6_pack_linear(p, (const int8_t *)tin_row(&p->in, arena, y) + x * p->in_c, count, packed);
        else if (p->runs)
            to = block6_runs(p, arena, y, x, count, packed, copies);
        else
            to = tin_patches(&window, arena, y, x, TIN_PIXELS, count, packed, tin_pack6);
        while (to != packed_end) *to++ = 0;
        to = packed;
        for (int32_t i = 0; i < p->chunks; i++, to += 4 * p->chunk)
            tin_starts6(to, to + 4 * p->chunk, packed_end + 4 * i);
        block6_place(p, arena, y, x, count, &block);
        block6_run(p, &block);
        for (x += TIN_PIXELS; x >= p->out_w; x -= p->out_w) y++;
    }
}
