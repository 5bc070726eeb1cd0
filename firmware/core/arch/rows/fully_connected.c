/* FULLY_CONNECTED, int8, of one image, one input row after the other: the accumulators of all outputs wait in the
 * arena for the next row.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_dot.h"
#include "tin_math.h"
#include "tin_ops.h"

typedef struct dense_sums {
    int32_t a, b, c, d;
} dense_sums;

/* One input times its weights of four channels. */
static inline void dense_input_times_four(dense_sums *s, const int8_t *w, int32_t x)
{
    s->a += w[0] * x;
    s->b += w[1] * x;
    s->c += w[2] * x;
    s->d += w[3] * x;
}

/* A row of inputs times the weights of four channels, which lie side by side. A layer has at most 32767 inputs, whose
 * sum fits 32 bits; only together with the bias may it wrap. */
static inline void dense_four_channels(int32_t *sums, const int8_t *w, const int8_t *x, int32_t count)
{
    dense_sums s = { 0, 0, 0, 0 };
    const int8_t *const end = x + count, *const blocks = x + (count & ~3);
    for (; x != blocks; x += 4, w += 16) {
        dense_input_times_four(&s, w, x[0]);
        dense_input_times_four(&s, w + 4, x[1]);
        dense_input_times_four(&s, w + 8, x[2]);
        dense_input_times_four(&s, w + 12, x[3]);
    }
    for (; x != end; x++, w += 4) dense_input_times_four(&s, w, *x);
    sums[0] = tin_add_wrap(sums[0], s.a);
    sums[1] = tin_add_wrap(sums[1], s.b);
    sums[2] = tin_add_wrap(sums[2], s.c);
    sums[3] = tin_add_wrap(sums[3], s.d);
}

static void dense_outputs(const tin_fully_connected_rows_params *p, const int32_t *sums, int8_t *out)
{
    for (int32_t c = 0; c < p->out_c; c++) {
        const int32_t scale = p->per_channel ? c : 0;
        const int32_t y = tin_requantize(sums[c], p->multiplier[scale], p->shift[scale]) + p->out_zero;
        *out++ = (int8_t)tin_clamp(y, p->low, p->high);
    }
}

TIN_KERNEL void tin_fully_connected_rows(const tin_fully_connected_rows_params *p, uint8_t *arena, int32_t row,
                                         int32_t end)
{
    int32_t *sums = (int32_t *)(void *)tin_room(arena, p->state);
    const int8_t *w = p->weights + row * p->row_c * p->out_c;
    for (; row < end; row++) {
        const int8_t *x = (const int8_t *)tin_row(&p->in, arena, row);
        int32_t c = 0;
        if (row == 0)
            for (int32_t i = 0; i < p->out_c; i++) sums[i] = p->bias[i];
        for (; c + 4 <= p->out_c; c += 4, w += 4 * p->row_c) dense_four_channels(sums + c, w, x, p->row_c);
        for (; c < p->out_c; c++, w += p->row_c) sums[c] = tin_dot(sums[c], w, x, p->row_c);
        if (row + 1 == p->in_h) dense_outputs(p, sums, (int8_t *)tin_row_out(&p->out, arena, 0));
    }
}
