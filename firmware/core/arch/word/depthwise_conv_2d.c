/* DEPTHWISE_CONV_2D, int8, for 32-bit cores without SIMD: a row of one channel after the other.
 *
 * Windows of 3x3 slide (tin_word_slide.h). All others, and channels that have no line, take four outputs at a time
 * where no window reaches beyond the image, else one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"
#include "tin_word_slide.h"

#define MOST_ROWS 16 /* of a window */

/* An output row: what is the same for all channels. */
typedef struct output_row {
    const int8_t *rows[MOST_ROWS]; /* of the window; NULL outside the image */
    int8_t *out;
    int32_t first, last; /* outputs of this range have windows inside the image, from left to right */
} output_row;

/* The window of output x of a channel, part of it perhaps outside the image. */
static TIN_APART int32_t sum_one(const tin_depthwise_conv_2d_word_params *p, const output_row *r, int32_t in_c,
                                 const int8_t *w, int32_t x)
{
    int32_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        int32_t ix = x * p->stride_w - p->pad_left;
        for (int32_t kx = 0; kx < p->kernel_w; kx++, w++, ix += p->dilation_w) {
            const int inside = r->rows[ky] != NULL && ix >= 0 && ix < p->in_w;
            sum += *w * (inside ? r->rows[ky][ix * p->in_c + in_c] : p->pad_value);
        }
    }
    return sum;
}

/* The windows of four outputs from x on, none of which reaches beyond the left or right edge. */
static TIN_APART void sum_four(const tin_depthwise_conv_2d_word_params *p, const output_row *r, int32_t in_c,
                               const int8_t *w, int32_t x, int32_t sums[4])
{
    const int32_t apart = p->stride_w * p->in_c, step = p->dilation_w * p->in_c, kernel_w = p->kernel_w;
    const int32_t start = (x * p->stride_w - p->pad_left) * p->in_c + in_c;
    int32_t a = 0, b = 0, c = 0, d = 0, beyond = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int8_t *const end = w + kernel_w, *i = r->rows[ky];
        if (i == NULL) {
            while (w != end) beyond += *w++;
            continue;
        }
        for (i += start; w != end; i += step) {
            const int32_t v = *w++;
            const int8_t *j = i + apart, *k = j + apart;
            a += v * *i, b += v * *j, c += v * *k, d += v * k[apart];
            TIN_KEEP4(a, b, c, d);
        }
    }
    beyond *= p->pad_value;
    sums[0] = a + beyond, sums[1] = b + beyond, sums[2] = c + beyond, sums[3] = d + beyond;
}

/* A row of one channel, of any shape. */
static TIN_APART void run_channel(const tin_depthwise_conv_2d_word_params *p, const output_row *r, int32_t c,
                                  int32_t in_c)
{
    const tin_scale scale = TIN_SCALE(p);
    const int8_t *w = p->weights + c * p->kernel_h * p->kernel_w;
    for (int32_t x = 0; x < p->out_w;) {
        int8_t *out = r->out + x * p->out_c + c;
        if (x < r->first || x + 4 > r->last) {
            *out = (int8_t)tin_scale_one(&scale, c, sum_one(p, r, in_c, w, x++));
            continue;
        }
        int32_t sums[4];
        sum_four(p, r, in_c, w, x, sums);
        for (int32_t i = 0; i < 4; i++, x++, out += p->out_c)
            *out = (int8_t)tin_scale_one(&scale, c, sums[i]);
    }
}

/* A row of 3x3 windows, with strides, dilation and records that tin_word_slide.h knows. */
static TIN_APART void slide(const tin_depthwise_conv_2d_word_params *p, const output_row *r)
{
    tin_slide s = {{NULL, NULL, NULL}, 0, r->out, p->weights, p->scales, p->out_c, p->pad_value, p->low,
                   p->steps, p->pad_left, p->in_w < (p->out_w - 1) * p->stride_w - p->pad_left + 3, p->out_w};
    const int8_t *any = r->rows[1] ? r->rows[1] : r->rows[0] ? r->rows[0] : r->rows[2];
    for (int32_t i = 0; i < 3; i++) {
        s.rows[i] = r->rows[i] ? r->rows[i] : any;
        if (r->rows[i] == NULL) s.outside |= 1 << i;
    }
    for (int32_t c = 0; c < s.channels; c++) {
        if (s.records[2 * c + 1] == 0) run_channel(p, r, c, c);
        else if (p->stride_w == 1) tin_slide_by_1(&s, c);
        else tin_slide_by_2(&s, c);
    }
}

TIN_KERNEL void tin_depthwise_conv_2d_word(const tin_depthwise_conv_2d_word_params *p, uint8_t *arena, int32_t row,
                                           int32_t end)
{
    const int32_t extent = (p->kernel_w - 1) * p->dilation_w, multiplier = p->out_c / p->in_c;
    output_row r;
    r.first = (p->pad_left + p->stride_w - 1) / p->stride_w;
    r.last = tin_min(tin_max(p->in_w - extent + p->pad_left + p->stride_w - 1, 0) / p->stride_w, p->out_w);
    for (; row < end; row++) {
        int inside = 0;
        for (int32_t k = 0; k < p->kernel_h; k++) {
            const int32_t y = row * p->stride_h - p->pad_top + k * p->dilation_h;
            r.rows[k] = y >= 0 && y < p->in_h ? (const int8_t *)tin_row(&p->in, arena, y) : NULL;
            inside |= r.rows[k] != NULL;
        }
        r.out = (int8_t *)tin_row_out(&p->out, arena, row);
        if (p->slides && inside) {
            slide(p, &r);
            continue;
        }
        for (int32_t c = 0, in_c = 0, left = multiplier; c < p->out_c; c++) {
            run_channel(p, &r, c, in_c);
            if (--left == 0) {
                in_c++;
                left = multiplier;
            }
        }
    }
}
