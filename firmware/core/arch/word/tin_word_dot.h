/* Six pixels by four channels: dot products, and outputs from them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_WORD_DOT_H
#define TIN_WORD_DOT_H

#include "tin_columns.h"
#include "tin_word.h"

#define TIN_CHANNELS 4 /* whose weights are interleaved */

/* Writes taps as four words each: three pixels in two words, twice. */
static TIN_APART uint32_t *tin_pack6_strip(uint32_t *to, const tin_strip *s)
{
    const int8_t *a = s->from[0], *b = s->from[1], *c = s->from[2];
    const int8_t *d = s->from[3], *e = s->from[4], *f = s->from[5];
    const int32_t step = s->step;
#define TAP(k)                                                                                                \
    do {                                                                                                      \
        const uint32_t middle = (uint32_t)b[k], other = (uint32_t)e[k];                                       \
        to[0] = (uint32_t)a[k] + (middle << 21);                                                              \
        to[1] = (uint32_t)c[k] + (middle << 10);                                                              \
        to[2] = (uint32_t)d[k] + (other << 21);                                                               \
        to[3] = (uint32_t)f[k] + (other << 10);                                                               \
        to += step;                                                                                           \
        TIN_KEEP1(to);                                                                                        \
    } while (0)
    for (int32_t rows = s->rows;;) {
        for (int32_t groups = s->groups; groups > 0; groups--, to += s->gap) {
            int32_t left = s->taps;
            for (; left >= 4; left -= 4, a += 4, b += 4, c += 4, d += 4, e += 4, f += 4) {
                TAP(0);
                TAP(1);
                TAP(2);
                TAP(3);
            }
            for (; left > 0; left--, a++, b++, c++, d++, e++, f++) TAP(0);
        }
        if (--rows == 0) return to;
        a += s->skip[0], b += s->skip[1], c += s->skip[2], d += s->skip[3], e += s->skip[4], f += s->skip[5];
        to += s->back;
    }
#undef TAP
}

/* The same for one run of taps. */
static TIN_APART uint32_t *tin_pack6(uint32_t *to, const int8_t *const from[], int32_t taps)
{
    tin_strip s;
    tin_one_run(&s, from, taps);
    return tin_pack6_strip(to, &s);
}

#if defined(__arm__)

/* Too few registers for four channels at a time; the accumulating multiplication makes one channel just as cheap. */
#if defined(__GNUC__) && defined(__thumb2__)
/* r2 to r5: the tap's four words, r6: its weight; compilers load them one by one. */
#define TIN_TAP(p, q, a, b, c, d)                                                                             \
    __asm__ volatile("ldmia %0!, {r2, r3, r4, r5}\n\t"                                                        \
                     "ldrsb r6, [%1], #4\n\t"                                                                 \
                     "mla %2, r2, r6, %2\n\t"                                                                 \
                     "mla %3, r3, r6, %3\n\t"                                                                 \
                     "mla %4, r4, r6, %4\n\t"                                                                 \
                     "mla %5, r5, r6, %5"                                                                     \
                     : "+r"(p), "+r"(q), "+r"(a), "+r"(b), "+r"(c), "+r"(d)                                   \
                     :                                                                                        \
                     : "r2", "r3", "r4", "r5", "r6", "memory")
#else
#define TIN_TAP(p, q, a, b, c, d)                                                                             \
    do {                                                                                                      \
        const uint32_t v = (uint32_t)*q;                                                                      \
        a += v * p[0], b += v * p[1], c += v * p[2], d += v * p[3];                                           \
        p += 4, q += 4;                                                                                       \
    } while (0)
#endif

static TIN_APART void tin_dot6x4(const uint32_t *x, int32_t taps, const int8_t *w, uint32_t sums[16])
{
    for (int32_t n = 0; n < TIN_CHANNELS; n++, w++, sums += 4) {
        uint32_t a = TIN_LANE_X, b = TIN_LANE_Y, c = TIN_LANE_X, d = TIN_LANE_Y;
        const uint32_t *p = x;
        const int8_t *q = w;
        int32_t left = taps;
        for (; left >= 4; left -= 4) {
            TIN_TAP(p, q, a, b, c, d);
            TIN_TAP(p, q, a, b, c, d);
            TIN_TAP(p, q, a, b, c, d);
            TIN_TAP(p, q, a, b, c, d);
        }
        for (; left > 0; left--) TIN_TAP(p, q, a, b, c, d);
        sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    }
}

#else

/* sums[4 * channel + word]. On RISC-V 43 instructions for 24 products, nothing spilled; unrolled it would be. */
static TIN_APART void tin_dot6x4(const uint32_t *x, int32_t taps, const int8_t *w, uint32_t sums[16])
{
    uint32_t a0 = TIN_LANE_X, a1 = TIN_LANE_Y, a2 = TIN_LANE_X, a3 = TIN_LANE_Y;
    uint32_t b0 = TIN_LANE_X, b1 = TIN_LANE_Y, b2 = TIN_LANE_X, b3 = TIN_LANE_Y;
    uint32_t c0 = TIN_LANE_X, c1 = TIN_LANE_Y, c2 = TIN_LANE_X, c3 = TIN_LANE_Y;
    uint32_t d0 = TIN_LANE_X, d1 = TIN_LANE_Y, d2 = TIN_LANE_X, d3 = TIN_LANE_Y;
#define CHANNEL(index, s0, s1, s2, s3)                                                                        \
    do {                                                                                                      \
        const uint32_t v = (uint32_t)w[index];                                                                \
        s0 += v * x0;                                                                                         \
        s1 += v * x1;                                                                                         \
        s2 += v * x2;                                                                                         \
        s3 += v * x3;                                                                                         \
        TIN_KEEP4(s0, s1, s2, s3);                                                                            \
    } while (0)
    for (const int8_t *end = w + TIN_CHANNELS * taps; w != end; w += 4, x += 4) {
        const uint32_t x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
        CHANNEL(0, a0, a1, a2, a3);
        CHANNEL(1, b0, b1, b2, b3);
        CHANNEL(2, c0, c1, c2, c3);
        CHANNEL(3, d0, d1, d2, d3);
    }
#undef CHANNEL
    sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
    sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
    sums[8] = c0, sums[9] = c1, sums[10] = c2, sums[11] = c3;
    sums[12] = d0, sums[13] = d1, sums[14] = d2, sums[15] = d3;
}

#endif

/* The six sums of one channel, from its four words. */
typedef struct tin_six {
    uint32_t s[TIN_PIXELS];
} tin_six;

TIN_INLINE tin_six tin_unpack6(const uint32_t words[4])
{
    tin_six x;
    tin_unpack3(words[0], words[1], &x.s[0], &x.s[1], &x.s[2]);
    tin_unpack3(words[2], words[3], &x.s[3], &x.s[4], &x.s[5]);
    return x;
}

/* x plus other sums of the same channel. */
TIN_INLINE tin_six tin_add6(tin_six x, const uint32_t *other)
{
#define SUM(i) x.s[i] += other[i]
    SUM(0), SUM(1), SUM(2), SUM(3), SUM(4), SUM(5);
#undef SUM
    return x;
}

/* One channel's six outputs, `step` bytes apart. */
TIN_INLINE void tin_straight6(tin_six x, uint32_t offset, const int32_t *record, const tin_scale *scale, int8_t *to,
                              int32_t step)
{
    const int32_t m = record[1], low = scale->low;
    const uint32_t steps = scale->steps;
#define OUT(i) (*to = (int8_t)tin_scale_line(x.s[i] + offset, m, low, steps), to += step)
    OUT(0), OUT(1), OUT(2), OUT(3), OUT(4), OUT(5);
#undef OUT
}

TIN_INLINE void tin_kinked6(tin_six x, uint32_t offset, const int32_t *record, const tin_scale *scale, int8_t *to,
                            int32_t step)
{
    const int32_t m = record[1], low = scale->low, zero = record[2];
    const uint32_t steps = scale->steps, drop = (uint32_t)record[3];
#define OUT(i) (*to = (int8_t)tin_scale_line(tin_below(x.s[i] + offset, zero, drop), m, low, steps), to += step)
    OUT(0), OUT(1), OUT(2), OUT(3), OUT(4), OUT(5);
#undef OUT
}

static TIN_APART void tin_exact6(const tin_six *x, const int32_t *record, const tin_scale *scale, uint32_t excess,
                                 int8_t *to, int32_t step)
{
    for (int32_t i = 0; i < TIN_PIXELS; i++, to += step)
        *to = tin_scale_exact(scale, record, (int32_t)(x->s[i] - excess) >> TIN_SUM_SHIFT);
}

/* The outputs of `width` channels from c on: six pixels each, `step` bytes apart. `words` holds four words a channel;
 * `earlier`, unless NULL, the sums of chunks that came before, six a channel. */
static TIN_APART void tin_outputs6(const tin_scale *scale, int32_t c, int32_t width, const uint32_t *words,
                                   const uint32_t *earlier, uint32_t excess, int8_t *out, int32_t step)
{
    const tin_scale here = *scale;
    const int32_t *record = here.records + c * here.words;
    for (; width > 0; width--, words += 4, record += here.words, out++) {
        tin_six x = tin_unpack6(words);
        const uint32_t offset = (uint32_t)record[0] - excess;
        if (earlier != NULL) {
            x = tin_add6(x, earlier);
            earlier += TIN_PIXELS;
        }
        if (record[1] == 0) {
            const tin_six copy = x; /* so that x itself stays in registers */
            tin_exact6(&copy, record, scale, excess, out, step);
        } else if (here.words == 2) {
            tin_straight6(x, offset, record, &here, out, step);
        } else {
            tin_kinked6(x, offset, record, &here, out, step);
        }
    }
}

#endif /* TIN_WORD_DOT_H */
