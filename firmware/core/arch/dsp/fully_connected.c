/* FULLY_CONNECTED, int8, for cores with the DSP extension: four channels at a time (dense.S).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tin_math.h"
#include "tin_ops.h"

typedef struct tin_dsp_dense {
    const int32_t *weights;
    const int32_t *biases;
    const int32_t *scales; /* of two channels */
    int32_t scale_step;    /* bytes to those of the next two; 0: all are the same */
    int8_t *out, *out_end;
    const int8_t *x;
    const int8_t *x_blocks; /* end of what is read 32 bytes at a time */
    const int8_t *x_words;  /* end of what is read 4 bytes at a time */
    const uint32_t *tail;   /* the last one to three bytes, or NULL */
} tin_dsp_dense_args;

void tin_dsp_dense(const tin_dsp_dense_args *dense);

/* One row of outputs; the last quad of channels may exist in part. */
static void dense_row(const tin_fully_connected_dsp_params *p, const int8_t *x, int8_t *out)
{
    const int32_t whole = p->in_c & ~3, aligned = ((uintptr_t)x & 3u) == 0;
    const int32_t quads = p->out_c / 4, rest = p->out_c % 4;
    uint32_t tail = 0;
    int8_t last[4];
    memcpy(&tail, x + whole, (size_t)(p->in_c & 3));
    tin_dsp_dense_args d = { p->weights, p->biases, p->scales, p->scale_step, out, out + 4 * quads, x,
                             x + (aligned ? p->in_c & ~31 : 0), x + whole, p->in_c & 3 ? &tail : NULL };
    if (quads) tin_dsp_dense(&d);
    if (rest == 0) return;
    d.weights += quads * ((p->in_c + 3) & ~3);
    d.biases += 4 * quads;
    d.scales += quads * 2 * (p->scale_step / 4);
    d.out = last;
    d.out_end = last + 4;
    tin_dsp_dense(&d);
    memcpy(out + 4 * quads, last, (size_t)rest);
}

TIN_KERNEL void tin_fully_connected_dsp(const tin_fully_connected_dsp_params *p, uint8_t *arena, int32_t row,
                                        int32_t end)
{
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        dense_row(p, (const int8_t *)tin_row(&p->in, arena, row), out);
        if (p->low > INT8_MIN || p->high < INT8_MAX)
            for (int32_t i = 0; i < p->out_c; i++) out[i] = (int8_t)tin_clamp(out[i], p->low, p->high);
    }
}
