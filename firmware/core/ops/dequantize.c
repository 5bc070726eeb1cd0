/* DEQUANTIZE from bytes to float32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tin_ops.h"

TIN_KERNEL void tin_dequantize(const tin_dequantize_params *p, uint8_t *arena, int32_t row, int32_t end)
{
    for (; row < end; row++) {
        const uint8_t *in = tin_row(&p->in, arena, row);
        uint8_t *out = tin_row_out(&p->out, arena, row);
        for (int32_t i = 0; i < p->row_elements; i++) {
            const int32_t x = p->is_signed ? (int8_t)in[i] : in[i];
            const float y = p->scale * (float)(x - p->zero);
            memcpy(out + 4 * i, &y, sizeof y); /* the output may share bytes with the input */
        }
    }
}
