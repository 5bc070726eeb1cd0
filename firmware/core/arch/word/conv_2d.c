/* CONV_2D, int8, for 32-bit cores without SIMD: blocks of six pixels and four channels, three pixels in two words.
 *
 * A block's windows are packed into the scratch (16 bytes a tap) and then read once for every four channels. Weights
 * come in the order group of four channels, tap, channel. Lanes are exact for a chunk of taps at a time; sums of
 * several chunks are added.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"
#include "tin_word_runs.h"

/* Where the outputs of a block go: the first `count` pixels exist. */
typedef struct block {
    int8_t *first;           /* output of the first pixel, if all six lie one behind the other in memory, else NULL */
    int8_t *out[TIN_PIXELS]; /* of each pixel */
    int32_t count;
} block;

/* The block whose first output is at row y, column x. */
static TIN_APART void place_block(const tin_conv_2d_word_params *p, uint8_t *arena, int32_t y, int32_t x, int32_t count, block *b)
{
    int linear = count == TIN_PIXELS;
    b->count = count;
    for (int32_t i = 0; i < count; i++) {
        b->out[i] = (int8_t *)tin_row_out(&p->out, arena, y) + x * p->out_c;
        linear &= i == 0 || b->out[i] == b->out[i - 1] + p->out_c;
        if (++x == p->out_w) {
            x = 0;
            y++;
        }
    }
    b->first = linear ? b->out[0] : NULL;
}

/* Packs windows of six pixels that lie one behind the other, each a single tap of all channels. */
static uint32_t *pack_linear(const tin_conv_2d_word_params *p, const int8_t *x, int32_t count, uint32_t *to)
{
    const int8_t *from[TIN_PIXELS];
    for (int32_t i = 0; i < TIN_PIXELS; i++) from[i] = x + tin_min(i, count - 1) * p->in_c;
    return tin_pack6(to, from, p->in_c);
}

/* Sums of the next four channels: the last chunk's in `words`, those of all before it in `earlier`. */
static const int8_t *sum_chunks(const tin_conv_2d_word_params *p, const uint32_t *x, const int8_t *w, uint32_t *words,
                                tin_six *earlier)
{
    for (int32_t left = p->chunks;; x += 4 * p->chunk) {
        tin_dot6x4(x, p->chunk, w, words);
        w += TIN_CHANNELS * p->chunk;
        if (--left == 0) return w;
        for (int32_t n = 0; n < TIN_CHANNELS; n++) {
            tin_six x = tin_unpack6(words + 4 * n), *sum = earlier + n;
            *sum = left + 1 < p->chunks ? tin_add6(x, sum->s) : x;
        }
    }
}

/* All channels of a block. */
static TIN_APART void run_block(const tin_conv_2d_word_params *p, const tin_scale *scale, const uint32_t *x, const block *b)
{
    const int8_t *w = p->weights;
    for (int32_t c = 0; c < p->out_c; c += TIN_CHANNELS) {
        uint32_t words[4 * TIN_CHANNELS];
        tin_six earlier[TIN_CHANNELS];
        int8_t some[TIN_PIXELS * TIN_CHANNELS];
        const int32_t width = tin_min(p->out_c - c, TIN_CHANNELS), step = b->first ? p->out_c : TIN_CHANNELS;
        int8_t *out = b->first ? b->first + c : some;
        w = sum_chunks(p, x, w, words, earlier);
        tin_outputs6(scale, c, width, words, p->chunks > 1 ? earlier->s : NULL, (uint32_t)p->chunks * TIN_LANE_START,
                     out, step);
        if (b->first) continue;
        for (int32_t i = 0; i < b->count; i++)
            for (int32_t n = 0; n < width; n++) b->out[i][c + n] = some[TIN_CHANNELS * i + n];
    }
}

TIN_KERNEL void tin_conv_2d_word(const tin_conv_2d_word_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const tin_window window = TIN_WINDOW(p);
    const tin_scale scale = TIN_SCALE(p);
    const int linear = tin_is_linear(&window, end);
    uint32_t *packed = (uint32_t *)(void *)(arena + p->scratch);
    uint32_t *const packed_end = packed + 4 * p->chunk * p->chunks;
    int32_t left = (end - row) * p->out_w;
    for (int32_t y = row, x = 0; left > 0; left -= TIN_PIXELS) {
        const int32_t count = tin_min(left, TIN_PIXELS);
        uint32_t *to;
        block b;
        if (linear)
            to = pack_linear(p, (const int8_t *)tin_row(&p->in, arena, y) + x * p->in_c, count, packed);
        else if (p->short_runs)
            to = tin_runs6(&window, arena, y, x, count, packed, (int8_t *)packed_end);
        else
            to = tin_patches(&window, arena, y, x, TIN_PIXELS, count, packed, tin_pack6);
        while (to != packed_end) *to++ = 0;
        place_block(p, arena, y, x, count, &b);
        run_block(p, &scale, packed, &b);
        for (x += TIN_PIXELS; x >= p->out_w; x -= p->out_w) y++;
    }
}
