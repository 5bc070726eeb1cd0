/* A row of a 3x3 depthwise convolution, channel by channel: nine weights stay in registers while the window slides, and
 * every input is loaded once a row. A column of inputs adds to the output that it ends, to the one that it is in the
 * middle of, and begins a third (with a stride of two: it does one or two of these).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_WORD_SLIDE_H
#define TIN_WORD_SLIDE_H

#include "tin_word.h"

typedef struct tin_slide {
    const int8_t *rows[3]; /* of the window; where one lies outside the image, any other */
    int32_t outside;       /* bit r: row r does */
    int8_t *out;
    const int8_t *weights;  /* nine a channel */
    const int32_t *records; /* two words a channel */
    int32_t channels, pad_value, low, steps;
    int32_t left, right; /* whether the first, the last window reaches one column beyond the image */
    int32_t out_w;
} tin_slide;

/* Local names of both kernels below: weights by row and column, three row pointers, what rows outside add. */
#define TIN_SLIDE_BEGIN(s, c)                                                                                 \
    const int8_t *w = (s)->weights + 9 * (c);                                                                 \
    const int8_t *i = (s)->rows[0] + (c), *j = (s)->rows[1] + (c), *k = (s)->rows[2] + (c);                   \
    const int32_t step = (s)->channels, m = (s)->records[2 * (c) + 1], low = (s)->low;                        \
    const uint32_t steps = (uint32_t)(s)->steps;                                                              \
    int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8]; \
    int32_t beyond = 0;                                                                                       \
    if ((s)->outside) {                                                                                       \
        if ((s)->outside & 1) beyond += w0 + w1 + w2, w0 = w1 = w2 = 0;                                       \
        if ((s)->outside & 2) beyond += w3 + w4 + w5, w3 = w4 = w5 = 0;                                       \
        if ((s)->outside & 4) beyond += w6 + w7 + w8, w6 = w7 = w8 = 0;                                       \
        beyond *= (s)->pad_value;                                                                             \
    }                                                                                                         \
    const uint32_t offset = (uint32_t)(s)->records[2 * (c)] + ((uint32_t)beyond << TIN_SUM_SHIFT)

#define TIN_SLIDE_STEP()                                                                                      \
    do {                                                                                                      \
        i += step, j += step, k += step;                                                                      \
        TIN_KEEP3(i, j, k);                                                                                   \
    } while (0)

/* Adds a column by its weights u, v, x to one sum. */
#define TIN_SLIDE_1(a, u, v, x)                                                                               \
    do {                                                                                                      \
        a += u * *i, a += v * *j, a += x * *k;                                                                \
        TIN_KEEP1(a);                                                                                         \
        TIN_SLIDE_STEP();                                                                                     \
    } while (0)

#define TIN_SLIDE_OUT(a)                                                                                      \
    (*o = (int8_t)tin_scale_line(((uint32_t)(a) << TIN_SUM_SHIFT) + offset, m, low, steps), o += step)

/* One channel, stride 1. */
TIN_INLINE void tin_slide_by_1(const tin_slide *s, int32_t c)
{
    TIN_SLIDE_BEGIN(s, c);
    int8_t *o = s->out + c, *const end = o + (s->out_w - s->right) * step;
    int32_t a = 0, b = 0, d, t;
    if (s->left) a = (w0 + w3 + w6) * s->pad_value;
    else TIN_SLIDE_1(a, w0, w3, w6);
    t = *i, a += t * w1, b = t * w0;
    t = *j, a += t * w4, b += t * w3;
    t = *k, a += t * w7, b += t * w6;
    TIN_SLIDE_STEP();
/* Ends a, goes on with b, begins d. */
#define COLUMN(a, b, d)                                                                                       \
    do {                                                                                                      \
        t = *i, a += t * w2, b += t * w1, d = t * w0;                                                         \
        TIN_KEEP3(a, b, d);                                                                                   \
        t = *j, a += t * w5, b += t * w4, d += t * w3;                                                        \
        TIN_KEEP3(a, b, d);                                                                                   \
        t = *k, a += t * w8, b += t * w7, d += t * w6;                                                        \
        TIN_KEEP3(a, b, d);                                                                                   \
        TIN_SLIDE_STEP();                                                                                     \
        TIN_SLIDE_OUT(a);                                                                                     \
    } while (0)
    while (o != end) {
        COLUMN(a, b, d);
        if (o == end) {
            a = b;
            break;
        }
        COLUMN(b, d, a);
        if (o == end) {
            a = d;
            break;
        }
        COLUMN(d, a, b);
    }
#undef COLUMN
    if (s->right) {
        a += (w2 + w5 + w8) * s->pad_value;
        TIN_SLIDE_OUT(a);
    }
}

/* One channel, stride 2. */
TIN_INLINE void tin_slide_by_2(const tin_slide *s, int32_t c)
{
    TIN_SLIDE_BEGIN(s, c);
    int8_t *o = s->out + c, *const end = o + (s->out_w - s->right) * step;
    int32_t a = 0, b, t;
    if (s->left) a = (w0 + w3 + w6) * s->pad_value;
    else TIN_SLIDE_1(a, w0, w3, w6);
/* Ends a, begins b. */
#define COLUMNS(a, b)                                                                                         \
    do {                                                                                                      \
        TIN_SLIDE_1(a, w1, w4, w7);                                                                           \
        t = *i, a += t * w2, b = t * w0;                                                                      \
        TIN_KEEP2(a, b);                                                                                      \
        t = *j, a += t * w5, b += t * w3;                                                                     \
        TIN_KEEP2(a, b);                                                                                      \
        t = *k, a += t * w8, b += t * w6;                                                                     \
        TIN_KEEP2(a, b);                                                                                      \
        TIN_SLIDE_STEP();                                                                                     \
        TIN_SLIDE_OUT(a);                                                                                     \
    } while (0)
    while (o != end) {
        COLUMNS(a, b);
        if (o == end) {
            a = b;
            break;
        }
        COLUMNS(b, a);
    }
#undef COLUMNS
    if (s->right) {
        TIN_SLIDE_1(a, w1, w4, w7);
        a += (w2 + w5 + w8) * s->pad_value;
        TIN_SLIDE_OUT(a);
    }
}

#endif /* TIN_WORD_SLIDE_H */
