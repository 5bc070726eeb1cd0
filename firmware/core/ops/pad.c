/* PAD, int8: a border of quantized zeros.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tin_ops.h"

static int8_t *fill(int8_t *out, int32_t value, int32_t count)
{
    memset(out, value, (size_t)count);
    return out + count;
}

TIN_KERNEL void tin_pad(const tin_pad_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    const int32_t pixel = p->front + p->in_c + p->back;
    for (; row < end; row++) {
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t y = row - p->top;
        if (y < 0 || y >= p->in_h) {
            fill(out, p->value, (p->left + p->in_w + p->right) * pixel);
            continue;
        }
        const int8_t *in = (const int8_t *)tin_row(&p->in, arena, y);
        out = fill(out, p->value, p->left * pixel);
        for (int32_t x = 0; x < p->in_w; x++, in += p->in_c) {
            out = fill(out, p->value, p->front);
            memcpy(out, in, (size_t)p->in_c);
            out = fill(out + p->in_c, p->value, p->back);
        }
        fill(out, p->value, p->right * pixel);
    }
}
