/* CONV_2D, int8, for cores with the DSP extension, without scratch: the windows of two pixels are read where they lie,
 * some taps at a time (two_pixels.S).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tin_dsp_taps.h"
#include "tin_dsp_two.h"
#include "tin_ops.h"

#define LEAN_WORDS 20   /* of four taps, that are multiplied at a time */
#define LEAN_CHANNELS 8 /* that share them */

/* Two pixels, the second `apart` bytes of input behind the first. */
typedef struct lean_pair {
    const tin_conv_2d_dsp_lean_params *p;
    const uint8_t *arena;
    int32_t y, at; /* of the first pixel's window: row, and byte in it */
    int32_t apart;
    uint32_t padding;       /* four times */
    const int32_t *weights; /* those that come next */
    const int32_t *start;   /* what sums begin with */
    int32_t sums[LEAN_CHANNELS * 2], *sums_end;
} lean_pair;

static inline uint32_t lean_word(const int8_t *from)
{
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
}

/* Rows of words of both pixels, from byte `at` on, which may lie beyond either end of the image. Each word is found
 * where it is nearest to its place, and shifted there; padding fills it up. */
static TIN_DSP_OUTLINE uint32_t *lean_beside(const lean_pair *s, uint32_t *to, const int8_t *row, int32_t at,
                                             int32_t words, int32_t rows, int32_t stride)
{
    const int32_t last = s->p->row_bytes - 4;
    for (int32_t i = 0; i < 2 * words; i++) {
        const int32_t first = at + 4 * (i >> 1) + (i & 1 ? s->apart : 0), from = tin_clamp(first, 0, last);
        const int32_t up = 8 * tin_clamp(from - first, 0, 4), down = 8 * tin_clamp(first - from, 0, 4);
        const uint32_t kept = up == 32 || down == 32 ? 0 : ~0u << up >> down, fill = s->padding & ~kept;
        const int8_t *word = row + from;
        for (int32_t k = i; k < 2 * words * rows; k += 2 * words, word += stride)
            to[k] = (lean_word(word) << (up & 31) >> (down & 31) & kept) | fill;
    }
    return to + 2 * words * rows;
}

/* How many of `rows` rows of taps from image row y on lie evenly in memory. */
static inline int32_t lean_together(const tin_conv_2d_dsp_lean_params *p, int32_t y, int32_t rows)
{
    const int32_t slot = y < p->in.count ? y : y % p->in.count;
    const int32_t left = tin_min(p->in_h - y, p->in.count - slot);
    return (rows - 1) * p->dilation_h < left ? rows : (left - 1) / p->dilation_h + 1;
}

/* Multiplies some rows of words of both windows, from image row y and byte `at` on, with the weights that come next. */
static void lean_taps(lean_pair *s, int32_t y, int32_t rows, int32_t at, int32_t words)
{
    const tin_conv_2d_dsp_lean_params *p = s->p;
    const int32_t stride = p->in.stride * p->dilation_h;
    const int32_t inside = at >= 0 && at + s->apart + 4 * words <= p->row_bytes;
    uint32_t taps[LEAN_WORDS * 2], *to = taps; /* a word of each pixel in turn */
    for (int32_t together = 1; rows > 0; rows -= together, y += together * p->dilation_h) {
        if (y < 0 || y >= p->in_h) {
            together = 1;
            for (int32_t i = 0; i < 2 * words; i++) *to++ = s->padding;
            continue;
        }
        const int8_t *const row = (const int8_t *)tin_row(&p->in, s->arena, y);
        together = lean_together(p, y, rows);
        to = inside ? tin_dsp_two_taps(to, row + at, s->apart, words, together, stride)
                    : lean_beside(s, to, row, at, words, together, stride);
    }
    s->weights = tin_dsp_two_pixels(s->weights, taps, to, s->start, s->sums, s->sums_end);
    s->start = s->sums;
}

/* All taps of both windows, as many at a time as there is room for. */
static void lean_windows(lean_pair *s)
{
    const tin_conv_2d_dsp_lean_params *p = s->p;
    int32_t k = 0, run = 0, word = 0;
    while (k < p->kernel_h) {
        const int32_t at = s->at + run * p->run_step + 4 * word;
        const int32_t rows = tin_min(p->rows, p->kernel_h - k), words = tin_min(p->words, p->run_words - word);
        lean_taps(s, s->y + k * p->dilation_h, rows, at, words);
        word += words;
        if (word < p->run_words) continue;
        word = 0;
        if (++run < p->runs) continue;
        run = 0;
        k += rows;
    }
}

/* The outputs of both pixels, `apart` bytes from each other, some channels after the other. */
static void lean_outputs(lean_pair *s, int8_t *out, int32_t apart)
{
    const tin_conv_2d_dsp_lean_params *p = s->p;
    tin_dsp_two_args results = { s->sums, p->scales, out, p->scale_step, apart, 0 };
    s->weights = p->weights;
    for (int32_t c = 0; c < p->out_c; c += LEAN_CHANNELS) {
        results.channels = tin_min(p->out_c - c, LEAN_CHANNELS);
        s->start = p->biases + 2 * c;
        s->sums_end = s->sums + 2 * ((results.channels + 3) & ~3);
        lean_windows(s);
        tin_dsp_two_results(&results);
        results.out += LEAN_CHANNELS;
        results.scales += LEAN_CHANNELS / 2 * (p->scale_step / 4);
    }
}

TIN_KERNEL void tin_conv_2d_dsp_lean(const tin_conv_2d_dsp_lean_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    lean_pair s;
    s.p = p;
    s.arena = arena;
    s.padding = 0x01010101u * (uint8_t)p->pad_value;
    for (; row < end; row++) {
        int8_t *const out = (int8_t *)tin_row_out(&p->out, arena, row);
        s.y = row / p->row_parts * p->stride_h - p->pad_top;
        s.at = row % p->row_parts * p->out_w * p->step - p->pad_left;
        for (int32_t i = 0; i < p->out_w; i += 2, s.at += 2 * p->step) {
            const int32_t two = i + 1 < p->out_w; /* else the second pixel is the first once more */
            s.apart = two * p->step;
            lean_outputs(&s, out + i * p->out_c, two * p->out_c);
        }
        if (p->low > INT8_MIN || p->high < INT8_MAX) tin_dsp_limit(out, p->out_w * p->out_c, p->low, p->high);
    }
}
