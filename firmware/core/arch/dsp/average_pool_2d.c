/* AVERAGE_POOL_2D, int8, for cores with the DSP extension: four channels at once in two words of two sums each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arm_acle.h>
#include <string.h>

#include "tin_math.h"
#include "tin_ops.h"

#define POOL_MOST 255 /* pixels whose sums fit 16 bits */

typedef struct pool_window {
    int32_t y, y_end, x, x_end; /* what lies inside the image */
} pool_window;

/* Mean of `count` values, rounded half away from zero, within the limits. */
static inline int8_t pool_mean(const tin_average_pool_2d_dsp_params *p, int32_t sum, int32_t count)
{
    sum += sum > 0 ? count / 2 : -(count / 2);
    return (int8_t)tin_clamp(sum / count, p->low, p->high);
}

/* Channels c to c + 3. */
static void pool_four(const tin_average_pool_2d_dsp_params *p, const uint8_t *arena, const pool_window *w, int32_t c,
                      int32_t sums[4])
{
    int16x2_t even = 0, odd = 0;
    int32_t room = POOL_MOST;
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    for (int32_t y = w->y; y < w->y_end; y++) {
        const uint8_t *in = tin_row(&p->in, arena, y) + w->x * p->channels + c;
        for (int32_t left = w->x_end - w->x; left > 0;) {
            const int32_t run = tin_min(left, room);
            for (int32_t i = 0; i < run; i++, in += p->channels) {
                uint32_t four;
                memcpy(&four, in, sizeof four);
                even = __sxtab16(even, (int8x4_t)four);
                odd = __sxtab16(odd, (int8x4_t)(four >> 8 | four << 24));
            }
            left -= run;
            room -= run;
            if (room > 0 && (left > 0 || y + 1 < w->y_end)) continue;
            sums[0] += (int16_t)even;
            sums[1] += (int16_t)odd;
            sums[2] += even >> 16;
            sums[3] += odd >> 16;
            even = odd = 0;
            room = POOL_MOST;
        }
    }
}

static int32_t pool_one(const tin_average_pool_2d_dsp_params *p, const uint8_t *arena, const pool_window *w, int32_t c)
{
    int32_t sum = 0;
    for (int32_t y = w->y; y < w->y_end; y++) {
        const int8_t *in = (const int8_t *)tin_row(&p->in, arena, y) + w->x * p->channels + c;
        for (int32_t x = w->x; x < w->x_end; x++, in += p->channels) sum += *in;
    }
    return sum;
}

static void pool_pixel(const tin_average_pool_2d_dsp_params *p, const uint8_t *arena, const pool_window *w, int8_t *out)
{
    const int32_t count = (w->y_end - w->y) * (w->x_end - w->x);
    int32_t c = 0;
    for (; c + 4 <= p->channels; c += 4) {
        int32_t sums[4];
        pool_four(p, arena, w, c, sums);
        for (int32_t i = 0; i < 4; i++) out[c + i] = pool_mean(p, sums[i], count);
    }
    for (; c < p->channels; c++) out[c] = pool_mean(p, pool_one(p, arena, w, c), count);
}

TIN_KERNEL void tin_average_pool_2d_dsp(const tin_average_pool_2d_dsp_params *p, uint8_t *arena, int32_t row,
                                        int32_t end)
{
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t y = row * p->stride_h - p->pad_top;
        int32_t x = -p->pad_left;
        for (int32_t i = 0; i < p->out_w; i++, x += p->stride_w, out += p->channels) {
            const pool_window w = { tin_max(y, 0), tin_min(y + p->kernel_h, p->in_h), tin_max(x, 0),
                                    tin_min(x + p->kernel_w, p->in_w) };
            pool_pixel(p, arena, &w, out);
        }
    }
}
