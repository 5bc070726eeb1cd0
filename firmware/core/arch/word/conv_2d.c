/* CONV_2D, int8, for 32-bit cores without SIMD: blocks of six pixels and four channels, three pixels in two words.
 *
 * A block's windows are packed into the scratch (16 bytes a tap) and then read once for every four channels. Weights
 * come in the order group of four channels, tap, channel. Lanes are exact for a chunk of taps at a time; sums of
 * several chunks are added.
 *
 * Where windows overlap, each of the six pixels is the first of a stretch of `span` neighbours: their windows are
 * packed as one strip of columns.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"
#include "tin_word_dot.h"

/* Six stretches of outputs, of which the first `count` exist; the others are read where the last one is. */
typedef struct block {
    int8_t *first;               /* output of the first one if all six are equally far apart, else NULL */
    int8_t *out[TIN_PIXELS];     /* of each */
    tin_corner from[TIN_PIXELS]; /* the window of its first pixel */
    int32_t count, step;         /* bytes from a pixel's output to the next one's where outputs are first written */
} block;

/* The block whose first output is at row y, column x; outputs are those of the first pixels. */
static TIN_APART void place_block(const tin_conv_2d_word_params *p, uint8_t *arena, int32_t y, int32_t x, int32_t count,
                                  block *b)
{
    const int32_t next = p->span * p->out_c;
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, y) + x * p->out_c;
    tin_corner at = { y * p->stride_h - p->pad_top, x * p->stride_w - p->pad_left };
    b->first = count == TIN_PIXELS ? out : NULL;
    b->count = count;
    for (int32_t i = 0; i < TIN_PIXELS; i++) {
        b->from[i] = at;
        b->out[i] = out;
        if (i + 1 >= count) continue;
        out += next;
        at.x += p->span * p->stride_w;
        if ((x += p->span) == p->out_w) {
            int8_t *const row = (int8_t *)tin_row_out(&p->out, arena, ++y);
            if (row != out) b->first = NULL;
            x = 0;
            out = row;
            at.x = -p->pad_left;
            at.y += p->stride_h;
        }
    }
    b->step = b->first ? next : TIN_CHANNELS;
}

/* On to the next pixel of each stretch. */
static void advance_block(const tin_conv_2d_word_params *p, block *b)
{
    if (b->first) b->first += p->out_c;
    for (int32_t i = 0; i < b->count; i++) b->out[i] += p->out_c;
}

/* Packs windows of six pixels that lie one behind the other, each a single tap of all channels. */
static void pack_linear(const tin_conv_2d_word_params *p, const int8_t *x, int32_t count, uint32_t *to)
{
    const int8_t *from[TIN_PIXELS];
    for (int32_t i = 0; i < TIN_PIXELS; i++) from[i] = x + tin_min(i, count - 1) * p->in_c;
    tin_pack6(to, from, p->in_c);
}

static TIN_APART void pack_columns(const tin_window *w, const uint8_t *arena, const block *b, int32_t columns, uint32_t *to)
{
    tin_columns6(w, arena, b->from, columns, to, tin_pack6_strip);
}

/* Sums of the next four channels: the last chunk's in `words`, those of all before it in `earlier`. */
TIN_INLINE const int8_t *sum_chunks(const tin_conv_2d_word_params *p, const uint32_t *x, const int8_t *w, uint32_t *words,
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

/* All channels of one pixel of each stretch. */
static TIN_APART void run_block(const tin_conv_2d_word_params *p, const tin_scale *scale, const uint32_t *x, const block *b)
{
    const int8_t *w = p->weights;
    for (int32_t c = 0; c < p->out_c; c += TIN_CHANNELS) {
        uint32_t words[4 * TIN_CHANNELS];
        tin_six earlier[TIN_CHANNELS];
        int8_t some[TIN_PIXELS * TIN_CHANNELS];
        const int32_t width = tin_min(p->out_c - c, TIN_CHANNELS);
        int8_t *out = b->first ? b->first + c : some;
        w = sum_chunks(p, x, w, words, earlier);
        tin_outputs6(scale, c, width, words, p->chunks > 1 ? earlier->s : NULL, (uint32_t)p->chunks * TIN_LANE_START,
                     out, b->step);
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
    const int32_t advance = 4 * p->stride_w * p->kernel_h * p->in_c; /* words from one window of a strip to the next */
    uint32_t *packed = (uint32_t *)(void *)tin_room(arena, p->scratch);
    int32_t left = (end - row) * p->out_w / p->span;
    for (int32_t y = row, x = 0; left > 0; left -= TIN_PIXELS) {
        const int32_t count = tin_min(left, TIN_PIXELS);
        block b;
        place_block(p, arena, y, x, count, &b);
        if (TIN_CONV_2D_WORD_LINEAR && linear)
            pack_linear(p, (const int8_t *)tin_row(&p->in, arena, y) + x * p->in_c, count, packed);
        else if (TIN_CONV_2D_WORD_COLUMNS && p->columns > 0)
            pack_columns(&window, arena, &b, p->columns, packed);
        else if (TIN_CONV_2D_WORD_ROWS)
            tin_patches(&window, arena, y, x, TIN_PIXELS, count, packed, tin_pack6);
        /* Taps that fill up the last chunk have weights of zero: what they are multiplied with does not matter. */
        run_block(p, &scale, packed, &b);
        for (int32_t i = 1; i < p->span; i++) {
            advance_block(p, &b);
            run_block(p, &scale, packed + i * advance, &b);
        }
        for (x += TIN_PIXELS * p->span; x >= p->out_w; x -= p->out_w) y++;
    }
}
