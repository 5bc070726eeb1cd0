/* Bytes that are filled, copied, limited. Not inlined: loops need the registers for themselves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_DSP_TAPS_H
#define TIN_DSP_TAPS_H

#include <string.h>

#include "tin_dsp.h"
#include "tin_math.h"

static inline void tin_dsp_fill(int8_t *to, int32_t value, int32_t bytes)
{
    const uint32_t four = 0x01010101u * (uint8_t)value;
    for (; bytes >= 4; bytes -= 4, to += 4) memcpy(to, &four, 4);
    for (; bytes > 0; bytes--) *to++ = (int8_t)value;
}

static TIN_DSP_OUTLINE void tin_dsp_copy(int8_t *to, const int8_t *from, int32_t bytes)
{
    for (; bytes >= 16; bytes -= 16, to += 16, from += 16) {
        uint32_t words[4];
        memcpy(words, from, 16);
        memcpy(to, words, 16);
    }
    for (; bytes >= 4; bytes -= 4, to += 4, from += 4) memcpy(to, from, 4);
    for (; bytes > 0; bytes--) *to++ = *from++;
}

/* Limits other than those of int8. */
static TIN_DSP_RARE void tin_dsp_limit(int8_t *out, int32_t bytes, int32_t low, int32_t high)
{
    for (int32_t i = 0; i < bytes; i++) out[i] = (int8_t)tin_clamp(out[i], low, high);
}

#endif /* TIN_DSP_TAPS_H */
