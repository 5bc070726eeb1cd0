/* All channels of a block of pixels: pairs of channels by matrix.S, and by plain C where its conditions do not hold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DSP_PAIRS_H
#define TIN_DSP_PAIRS_H

#include "tin_dsp.h"
#include "tin_math.h"

#define TIN_DSP_PIXELS 4 /* of the largest block */

/* Two channels of one pixel; the table has their biases, multipliers and shifts as they are. */
static void tin_dsp_plain(const tin_dsp_block *b, int32_t size, int32_t pixel, int32_t zero, int8_t out[2])
{
    int32_t upper = b->table[0], lower = b->table[1];
    int32_t load = 0, step = 0;
    for (const uint32_t *x = b->x + pixel; x < b->x_end; x += size) {
        /* Words are used from the last of a load to its first, but that the very first one leads. */
        const int32_t index = load > 0 ? load + b->steps - 1 - step : step > 0 ? b->steps - step : 0;
        const uint32_t word = (uint32_t)b->weights[index];
        const int32_t x0 = (int16_t)*x, x1 = (int16_t)(*x >> 16);
        lower = tin_add_wrap(lower, (int8_t)word * x0 + (int8_t)(word >> 16) * x1);
        /* A negative lower weight has borrowed from the upper one. */
        upper = tin_add_wrap(upper, (int8_t)((word >> 8) + (word >> 7 & 1u)) * x0 +
                                        (int8_t)((word >> 24) + (word >> 23 & 1u)) * x1);
        if (++step == b->steps) {
            step = 0;
            load += b->steps;
        }
    }
    lower = tin_requantize(lower, b->table[5], b->table[6]) + zero;
    upper = tin_requantize(upper, b->table[2], b->table[3]) + zero;
    out[0] = (int8_t)tin_clamp(lower, INT8_MIN, INT8_MAX);
    out[1] = (int8_t)tin_clamp(upper, INT8_MIN, INT8_MAX);
}

/* `pairs` pairs of channels of `size` pixels, 3 or 4. */
static void tin_dsp_run(tin_dsp_block *b, int32_t size, int32_t pairs, int32_t zero, int plain)
{
    b->out_end = b->out + 2 * pairs;
    if (!plain && size == 4)
        tin_dsp_block4(b);
    else if (!plain)
        tin_dsp_block3(b);
    else {
        const int32_t at[TIN_DSP_PIXELS] = { 0, b->at1, b->at2, b->at3 };
        for (int32_t i = 0; i < size; i++) {
            int8_t *out = b->out + at[i];
            int8_t found[2];
            tin_dsp_plain(b, size, i, zero, found);
            out[0] = found[0];
            out[1] = found[1];
        }
    }
}

/* All `channels` of `size` pixels, 3 or 4, of which the first `count` exist; pixels lie `channels` bytes apart. `runs`
 * counts pairs that matrix.S computes, then pairs that plain C does, and so on. The block's weights, table, x and
 * steps are set. */
static void tin_dsp_pairs(tin_dsp_block *b, const int32_t *runs, int32_t size, int32_t count, int32_t channels,
                          int32_t zero, int8_t *out)
{
    const int32_t words = (int32_t)(b->x_end - b->x) / size;
    int32_t left = channels;
    for (int plain = 0; left > 0; plain ^= 1) {
        int32_t pairs = *runs++;
        while (pairs > 0) {
            const int32_t now = plain ? 1 : left / 2 < pairs && pairs > 1 ? pairs - 1 : pairs;
            int8_t half[2 * TIN_DSP_PIXELS];
            const int direct = left > 1; /* the last channel of an odd number is half of a pair: it takes a way round */
            const int32_t step = direct ? channels : 2;
            b->out = direct ? out : half;
            b->at1 = (count > 1 ? 1 : 0) * step;
            b->at2 = (count > 2 ? 2 : count - 1) * step;
            b->at3 = (count > 3 ? 3 : count - 1) * step;
            tin_dsp_run(b, size, now, zero, plain);
            for (int32_t i = 0; i < count && !direct; i++) out[i * channels] = half[2 * i];
            b->weights += now * words;
            b->table += now * TIN_DSP_ENTRY;
            out += 2 * now;
            left -= 2 * now;
            pairs -= now;
        }
    }
}

#endif /* TIN_DSP_PAIRS_H */
