/* All channels of a block of pixels: pairs of channels by blocks.S, and by plain C where its conditions do not hold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DSP_PAIRS_H
#define TIN_DSP_PAIRS_H

#include "tin_dsp.h"
#include "tin_math.h"
#include "tin_ops.h"

#define TIN_DSP_PIXELS 4 /* of the largest block */
#define TIN_DSP_BLOCK3 TIN_CONV_2D_DSP_BLOCK3
#define TIN_DSP_BLOCK2 TIN_CONV_2D_DSP_BLOCK2

/* Pixels of the next block where so many are left: 5 = 3 + 2, 6 = 4 + 2, 7 = 4 + 3; without blocks of two 6 = 3 + 3.
 * As next_block in conv_2d.py. */
static inline int32_t tin_dsp_size(int32_t left)
{
    if (TIN_DSP_BLOCK2 ? left > 5 || left == 4 : left % 4 == 0) return 4;
    if (TIN_DSP_BLOCK2 && left <= 2) return 2;
    return TIN_DSP_BLOCK3 ? 3 : 4;
}

/* How many of them a block of `size` computes. Not two of four: the third one would be stored behind the second. */
static inline int32_t tin_dsp_count(int32_t size, int32_t left)
{
    return size == 4 && left == 2 ? 1 : tin_min(size, left);
}

/* Two channels of one pixel; the stream has their biases, multipliers and shifts as they are. */
static TIN_DSP_RARE void tin_dsp_plain(const tin_dsp_block *b, int32_t words, int32_t size, int32_t pixel, int32_t zero,
                                       int8_t out[2])
{
    const int32_t *scale = b->stream + words + 2;
    int32_t upper = b->stream[1], lower = b->stream[2];
    const int32_t rest = (words - 2) % TIN_DSP_LOAD + 1; /* words of the first load */
    for (int32_t step = 0; step < words; step++) {
        /* Words are used from the last of a load to its first, but that the very first one leads. */
        const int32_t place = step - 1, behind = place - rest;
        const int32_t load = behind < 0 ? 0 : rest + (behind & -TIN_DSP_LOAD);
        const int32_t index = 2 + 2 * load + (behind < 0 ? rest : TIN_DSP_LOAD) - place;
        const uint32_t word = (uint32_t)b->stream[step > 0 ? index : 0];
        const uint32_t x = b->x[step * size + pixel];
        const int32_t x0 = (int16_t)x, x1 = (int16_t)(x >> 16);
        lower = tin_add_wrap(lower, (int8_t)word * x0 + (int8_t)(word >> 16) * x1);
        /* A negative lower weight has borrowed from the upper one. */
        upper = tin_add_wrap(upper, (int8_t)((word >> 8) + (word >> 7 & 1u)) * x0 +
                                        (int8_t)((word >> 24) + (word >> 23 & 1u)) * x1);
    }
    lower = tin_requantize(lower, scale[3], scale[4]) + zero;
    upper = tin_requantize(upper, scale[0], scale[1]) + zero;
    out[0] = (int8_t)tin_clamp(lower, INT8_MIN, INT8_MAX);
    out[1] = (int8_t)tin_clamp(upper, INT8_MIN, INT8_MAX);
}

/* `pairs` pairs of channels of `size` pixels. */
static inline void tin_dsp_run(tin_dsp_block *b, int32_t size, int32_t pairs)
{
    b->out_end = b->out + 2 * pairs;
    if (TIN_DSP_BLOCK2 && size == 2)
        tin_dsp_block2(b);
    else if (TIN_DSP_BLOCK3 && size == 3)
        tin_dsp_block3(b);
    else
        tin_dsp_block4(b);
}

/* Distances between the outputs of `size` pixels; the last of the `count` that exist stands in for the others. */
static inline void tin_dsp_distances(tin_dsp_block *b, int32_t size, int32_t count, int32_t step)
{
    b->at1 = tin_min(1, count - 1) * step;
    b->at_last = tin_min(size, count) * step - step;
}

/* What the last load of several is used with, by blocks of `size` pixels. */
static inline void tin_dsp_last_load(tin_dsp_block *b, int32_t words, int32_t size)
{
    b->x_last = b->x + (words - TIN_DSP_LOAD) * size;
}

/* How a pair's words are loaded, for blocks of `size` pixels. */
static inline void tin_dsp_loads(tin_dsp_block *b, int32_t words, int32_t size)
{
    const int32_t several = words - 1 > TIN_DSP_LOAD;
    b->first = several ? TIN_DSP_LOAD + 1 : words - 1;
    b->rest = (words - 2) % TIN_DSP_LOAD + 1;
    tin_dsp_last_load(b, words, size);
}

/* The same for sliding blocks, which take several loads; three steps take six words of x. */
static inline void tin_dsp_sliding_loads(tin_dsp_block *b, int32_t words)
{
    b->first = (words - 3) % TIN_DSP_LOAD_SLIDING + 2;
    b->rest = 0;
    b->x_last = b->x + (words - TIN_DSP_LOAD_SLIDING) * 2;
}

/* All channels of `size` pixels, of which the first `count` exist. `runs` counts pairs that blocks.S computes,
 * then pairs that plain C does, and so on. */
static TIN_DSP_RARE void tin_dsp_pairs(const tin_dsp_block *block, const int32_t *runs, int32_t words, int32_t size,
                                       int32_t count, int32_t channels, int32_t zero)
{
    tin_dsp_block b = *block;
    for (int32_t c = 0, plain = 0; c < channels; plain ^= 1) {
        const int32_t pairs = *runs++;
        if (pairs > 0 && !plain) tin_dsp_run(&b, size, pairs);
        for (int32_t k = 0; k < pairs; k++) {
            for (int32_t i = 0; i < count && plain; i++) {
                int8_t found[2];
                tin_dsp_plain(&b, words, size, i, zero, found);
                b.out[i * channels] = found[0];
                if (c + 1 < channels) b.out[i * channels + 1] = found[1];
            }
            b.stream += words + TIN_DSP_OTHERS;
            b.out += 2;
            c += 2;
        }
    }
}

#endif /* TIN_DSP_PAIRS_H */
