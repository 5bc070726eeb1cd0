/* FULLY_CONNECTED, int8, for 32-bit cores without SIMD: two products of one sum in one multiplication.
 *
 * (v + (w << 16)) * (y + (x << 16)) holds v*x + w*y in its upper half, v*y below it, and nothing else modulo 2^32. Four
 * weights of a channel, each plus 128, make a word of bytes in the order 0, 2, 1, 3: masked it is one such pair, shifted
 * and masked the other. What 128 adds, and a half for rounding the lower lane away, is the start of each group's sums;
 * it depends on the inputs alone. Groups are so short that both lanes of their sums fit 16 bits; the few weights that
 * are too large for that are zeros there and added one by one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"
#include "tin_word.h"

#define CHANNELS 4 /* at a time */
#define PAIRS 0x00ff00ffu

/* Inputs as the loop below reads them: a start, then two words for every four inputs of the group. `left` inputs
 * exist, all others are zero. Returns the end. */
static uint32_t *pack_inputs(const int8_t *x, int32_t left, int32_t groups, int32_t group, uint32_t *to)
{
    for (; groups > 0; groups--) {
        uint32_t *const start = to++;
        uint32_t sum = 0;
        for (int32_t i = group; i > 0; i--, x += 4, left -= 4, to += 2) {
            if (left >= 4) {
                to[0] = (uint32_t)x[1] + ((uint32_t)x[0] << 16);
                to[1] = (uint32_t)x[3] + ((uint32_t)x[2] << 16);
            } else {
                to[0] = (left > 1 ? (uint32_t)x[1] : 0) + (left > 0 ? (uint32_t)x[0] << 16 : 0);
                to[1] = left > 2 ? (uint32_t)x[2] << 16 : 0;
            }
            sum += to[0] + to[1];
        }
        *start = 0x8000u - 0x00800080u * sum;
    }
    return to;
}

/* Adds to the sums of four channels, whose weights' words alternate. */
static TIN_APART void sum_groups(const uint32_t *x, const uint32_t *end, int32_t words, const int32_t *w,
                                 int32_t sums[CHANNELS])
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    while (x != end) {
        uint32_t a = *x++, b = a, c = a, d = a;
        const uint32_t *const group_end = x + words;
        do {
            const uint32_t x0 = x[0], x1 = x[1];
            uint32_t v;
#define CHANNEL(index, sum)                                                                                   \
    do {                                                                                                      \
        v = (uint32_t)w[index];                                                                               \
        sum += (v & PAIRS) * x0;                                                                              \
        TIN_KEEP1(sum);                                                                                       \
        sum += ((v >> 8) & PAIRS) * x1;                                                                       \
        TIN_KEEP1(sum);                                                                                       \
    } while (0)
            CHANNEL(0, a);
            CHANNEL(1, b);
            CHANNEL(2, c);
            CHANNEL(3, d);
#undef CHANNEL
            x += 2;
            w += CHANNELS;
        } while (x != group_end);
        s0 += (int32_t)a >> 16;
        s1 += (int32_t)b >> 16;
        s2 += (int32_t)c >> 16;
        s3 += (int32_t)d >> 16;
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/* Four channels' outputs. Outliers: bits 0 to 7 hold the weight, 8 and 9 the channel among the four, those above the
 * input; a negative word ends them. Returns where the next four channels' begin. */
static TIN_APART const int32_t *finish(const tin_fully_connected_word_params *p, const int8_t *x, int32_t c,
                                       int32_t sums[CHANNELS], const int32_t *outlier, int8_t *out)
{
    const int32_t width = tin_min(p->out_c - c, CHANNELS);
    if (p->has_outliers)
        for (int32_t next; (next = *outlier++) >= 0;)
            sums[(next >> 8) & 3] += (int8_t)(next & 0xff) * x[next >> 10];
    out += c;
    if (p->scale_words == 1) {
        const int32_t *rest = p->scales + p->out_c, m = rest[0], zero = rest[1], drop = rest[2], low = p->low;
        for (int32_t i = 0; i < width; i++) {
            const uint32_t a = ((uint32_t)sums[i] << TIN_SUM_SHIFT) + (uint32_t)p->scales[c + i];
            out[i] = (int8_t)tin_scale_line(tin_below(a, zero, (uint32_t)drop), m, low, (uint32_t)p->steps);
        }
    } else {
        const tin_scale scale = TIN_SCALE(p);
        for (int32_t i = 0; i < width; i++) out[i] = (int8_t)tin_scale_one(&scale, c + i, sums[i]);
    }
    return outlier;
}

/* Inputs may be packed piece by piece, so that few are in the scratch at once; then the sums of all channels are too. */
TIN_KERNEL void tin_fully_connected_word(const tin_fully_connected_word_params *p, uint8_t *arena, int32_t row,
                                         int32_t end)
{
    const int32_t groups = p->piece / p->group, all = CHANNELS * p->quads, step = CHANNELS * p->piece;
    uint32_t *packed = (uint32_t *)(void *)tin_room(arena, p->scratch);
    int32_t *sums = (int32_t *)packed + 2 * p->piece + groups, few[CHANNELS];
    for (; row < end; row++) {
        const int8_t *x = (const int8_t *)tin_row(&p->in, arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t *outlier = p->outliers;
        for (int32_t i = 0; i < p->quads; i += p->piece) {
            const int last = i + p->piece == p->quads;
            const int32_t *w = p->weights + CHANNELS * i;
            const uint32_t *const packed_end = pack_inputs(x + 4 * i, p->in_c - 4 * i, groups, p->group, packed);
            for (int32_t c = 0; c < p->out_c; c += CHANNELS, w += all) {
                int32_t *s = step == all ? few : sums + c;
                if (i == 0) s[0] = s[1] = s[2] = s[3] = 0;
                sum_groups(packed, packed_end, 2 * p->group, w, s);
                if (last) outlier = finish(p, x, c, s, outlier, out);
            }
        }
    }
}
