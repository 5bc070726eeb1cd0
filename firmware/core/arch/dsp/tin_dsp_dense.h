/* A vector times a matrix, for cores with the DSP extension (dense.S).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DSP_DENSE_H
#define TIN_DSP_DENSE_H

#include <string.h>

#include "tin_dsp.h"

/* dense.S copies this as it lies here. */
typedef struct tin_dsp_dense_args {
    const int32_t *weights;
    const int32_t *biases;
    const int32_t *scales; /* of two channels; NULL: `out` is 4-aligned and takes F and S of four channels */
    int32_t scale_step;    /* bytes to those of the next two; 0: all are the same */
    int8_t *out, *out_end;
    const int8_t *x;
    const int8_t *x_blocks; /* end of what is read 32 bytes at a time */
    const int8_t *x_words;  /* end of what is read 4 bytes at a time */
    const uint32_t *tail;   /* the last one to three bytes, or NULL */
} tin_dsp_dense_args;

void tin_dsp_dense(const tin_dsp_dense_args *dense);

/* Sets the inputs to `count` values; `tail` is where the last one to three go. */
static inline void tin_dsp_dense_input(tin_dsp_dense_args *d, const int8_t *x, int32_t count, uint32_t *tail)
{
    const int32_t whole = count & ~3, rest = count & 3, aligned = ((uintptr_t)x & 3u) == 0;
    *tail = 0;
    memcpy(tail, x + whole, (size_t)rest);
    d->x = x;
    d->x_blocks = x + (aligned ? count & ~31 : 0);
    d->x_words = x + whole;
    d->tail = rest ? tail : NULL;
}

typedef struct tin_dsp_dense_layer {
    const int32_t *weights, *biases, *scales;
    int32_t scale_step;
    int32_t in_c, out_c;
} tin_dsp_dense_layer;

/* All outputs of one input; the last quad of channels may exist in part. */
static inline void tin_dsp_dense_row(const tin_dsp_dense_layer *layer, const int8_t *x, int8_t *out)
{
    const int32_t quads = layer->out_c / 4, rest = layer->out_c % 4;
    uint32_t tail;
    int8_t last[4];
    tin_dsp_dense_args d = { layer->weights, layer->biases, layer->scales, layer->scale_step,
                             out, out + 4 * quads, x, x, x, NULL };
    tin_dsp_dense_input(&d, x, layer->in_c, &tail);
    if (quads) tin_dsp_dense(&d);
    if (rest == 0) return;
    d.weights += quads * ((layer->in_c + 3) & ~3);
    d.biases += 4 * quads;
    d.scales += quads * 2 * (layer->scale_step / 4);
    d.out = last;
    d.out_end = last + 4;
    tin_dsp_dense(&d);
    memcpy(out + 4 * quads, last, (size_t)rest);
}

#endif /* TIN_DSP_DENSE_H */
