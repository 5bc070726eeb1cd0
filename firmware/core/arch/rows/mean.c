/* MEAN over all rows of an image, int8, one input row after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_math.h"
#include "tin_ops.h"
#include "tin_sums.h"

static void mean_outputs(const tin_mean_rows_params *p, uint8_t *arena)
{
    int8_t *out = (int8_t *)tin_row_out(&p->out, arena, 0);
    for (int32_t i = 0; i < p->inner; i++) {
        const int32_t sum = tin_sum(tin_room(arena, p->state), p->form, i) + p->offset;
        const int32_t y = tin_requantize(sum, p->multiplier, p->shift) + p->out_zero;
        *out++ = (int8_t)tin_clamp(y, INT8_MIN, INT8_MAX);
    }
}

TIN_KERNEL void tin_mean_rows(const tin_mean_rows_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const int8_t *in = (const int8_t *)tin_row(&p->in, arena, row);
        if (TIN_MEAN_ROWS_PACKED && p->form == TIN_SUMS_PACKED)
            tin_add_packed(tin_room(arena, p->state), row == 0, in, p->pixels, p->inner);
        else if (TIN_MEAN_ROWS_PLAIN)
            tin_add_plain(tin_room(arena, p->state), p->form, row == 0, in, p->pixels, p->inner);
        if (row + 1 == p->in_h) mean_outputs(p, arena);
    }
}
