/* FULLY_CONNECTED, int8, for ARMv6-M: two products in one multiplication, two channels side by side.
 *
 * Inputs are packed into the scratch, all at once or piece by piece; then the sums of all channels lie there, too. The
 * few weights that are too large for the sums of their group are zeros there and added one by one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tin_ops.h"
#include "tin_thumb1.h"

/* Packs groups of quads as tin_dot_pairs reads them; of the inputs, `left` exist, and all others are zero. */
static void fc_pack(const int8_t *x, int32_t left, const uint32_t *end, int32_t quads, uint32_t *to)
{
    while (to != end) {
        uint32_t *const start = to++;
        uint32_t sum = 0;
        for (int32_t i = quads; i > 0; i--, x += 4, left -= 4, to += 2) {
            uint32_t first, second;
            if (left >= 4) {
                first = (uint32_t)x[1] + ((uint32_t)x[0] << 16);
                second = (uint32_t)x[3] + ((uint32_t)x[2] << 16);
            } else {
                first = (left > 0 ? (uint32_t)x[0] << 16 : 0) + (left > 1 ? (uint32_t)x[1] : 0);
                second = left > 2 ? (uint32_t)x[2] << 16 : 0;
            }
            to[0] = first;
            to[1] = second;
            sum += first + second;
        }
        *start = 0x8000u - 0x00800080u * sum; /* half a unit, less what the weights are too large by */
    }
}

/* The output of channel c. */
static int8_t fc_output(const tin_fully_connected_thumb1_params *p, int32_t c, int32_t sum)
{
    if (p->scale_words == 1) {
        const tin_split shared = tin_split_at(p->scales + p->out_c, 1);
        return tin_split_output((uint32_t)sum + (uint32_t)p->scales[c], &shared, p->low, p->high);
    }
    const int32_t *record = p->scales + c * p->scale_words;
    if (record[2] == 0) return tin_exact((uint32_t)sum, p->scales + record[0], p->out_zero, p->low, p->high);
    const tin_split own = tin_split_at(record + 1, p->scale_words == 6);
    return tin_split_output((uint32_t)sum + (uint32_t)record[0], &own, p->low, p->high);
}

/* Two channels' outputs from c on. Outliers: bits 0 to 7 hold the weight, 8 the channel, those above the input; a
 * negative word ends them. Returns where those of the next two channels begin. */
static const int32_t *fc_finish(const tin_fully_connected_thumb1_params *p, const int8_t *x, int32_t c, int32_t *sums,
                                const int32_t *outlier, int8_t *out)
{
    if (p->has_outliers)
        for (int32_t next; (next = *outlier++) >= 0;)
            sums[(next >> 8) & 1] += (int8_t)(next & 0xff) * x[next >> 10];
    for (int32_t i = 0; i < TIN_PAIR_CHANNELS && c + i < p->out_c; i++) out[c + i] = fc_output(p, c + i, sums[i]);
    return outlier;
}

TIN_KERNEL void tin_fully_connected_thumb1(const tin_fully_connected_thumb1_params *p, uint8_t *arena, int32_t row,
                                           int32_t end)
{
    const int32_t groups = p->piece / p->group, all = TIN_PAIR_CHANNELS * p->quads;
    uint32_t *const packed = (uint32_t *)(void *)tin_room(arena, p->scratch);
    uint32_t *const packed_end = packed + 2 * p->piece + groups;
    tin_pairs pairs = { packed_end, (TIN_MOST_QUADS - p->group) * TIN_QUAD_CODE, p->weights, packed };
    for (; row < end; row++) {
        const int8_t *x = (const int8_t *)tin_row(&p->in, arena, row);
        int8_t *out = (int8_t *)tin_row_out(&p->out, arena, row);
        const int32_t *outlier = p->outliers;
        for (int32_t i = 0; i < p->quads; i += p->piece) {
            int32_t few[TIN_PAIR_CHANNELS], *kept = (int32_t *)packed_end;
            fc_pack(x + 4 * i, p->in_c - 4 * i, packed_end, p->group, packed);
            pairs.weights = p->weights + TIN_PAIR_CHANNELS * i;
            for (int32_t c = 0; c < p->out_c; c += TIN_PAIR_CHANNELS, pairs.weights += all) {
                int32_t *sums = p->piece == p->quads ? few : kept + c;
                if (i == 0) sums[0] = sums[1] = 0;
                tin_dot_pairs(&pairs, sums);
                if (i + p->piece == p->quads) outlier = fc_finish(p, x, c, sums, outlier, out);
            }
        }
    }
}
