/* The inner loops of the kernels for ARMv6-M, and what they are given. conv_block.S, conv_pack.S
 *
 * Three bytes p, q, r of three pixels become X = p + (q << 21) and Y = r + (q << 10), modulo 2^32; sums of w * X and of
 * w * Y then hold three dot products, exact while each is below 2^20 in size. Weights are bytes from 0 to 255, 128 too
 * large, because only unsigned bytes can be loaded in one step; what that adds is taken off where the sums start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_THUMB1_H
#define TIN_THUMB1_H

#include "arch/word/tin_columns.h"

#if defined(__GNUC__)
#define TIN_APART __attribute__((noinline)) /* code that needs all registers for itself */
#else
#define TIN_APART
#endif

#define TIN_UNROLLED 12    /* taps a turn of the loop */
#define TIN_TAP_CODE 10    /* half the bytes of one tap's code */

/* A block of six pixels and all channels. The assembly knows the order of the fields. */
typedef struct tin_block6 {
    int8_t *out[TIN_PIXELS];    /* the outputs of each pixel, channel 0 */
    const int32_t *record;      /* how the next channel is requantized, see tools/tinsmith/arch/thumb1/_scales.py */
    int32_t low, high;          /* limits of the outputs */
    int32_t channel, channels;  /* the next channel, and behind the last */
    const uint32_t *packed;     /* four words a tap */
    const uint32_t *starts;     /* four words a chunk, from which sums start */
    int32_t chunk_bytes;        /* of the packed taps of a chunk */
    int32_t skip, skip_code;    /* taps that the first turn of the loop leaves out, and their code in half bytes */
    int32_t chunks;             /* parts of the taps whose sums are unpacked one by one */
    const uint8_t *weights;     /* of the next channel */
    uint32_t sums[TIN_PIXELS];  /* what is found for a channel without constants, chunks * 2^20 too large */
} tin_block6;

/* Computes channels until all are done (0), or until one has no constants (1): then its sums are left in the block,
 * and it is the caller's turn to write its outputs, and to advance `channel` and `record`. `_kinked` takes records of
 * six words instead of four. */
int32_t tin_block6_straight(tin_block6 *block);
int32_t tin_block6_kinked(tin_block6 *block);

/* Writes the taps of six pixels as four words each and returns their end. */
uint32_t *tin_pack6_strip(uint32_t *to, const tin_strip *strip);

/* The starts of the sums of one chunk: four words. */
void tin_starts6(const uint32_t *packed, const uint32_t *end, uint32_t *starts);

/* -- Dot products of two products a multiplication: dot_pairs.S ------------------------------------
 *
 * (v + (w << 16)) * (y + (x << 16)) holds v*x + w*y in its upper half, v*y below it, and nothing else modulo 2^32. Four
 * weights of a channel, 128 added to each, are a word of bytes in the order 0, 2, 1, 3. Groups of such words are so
 * short that their sums fit 16 bits; each group of packed inputs begins with what its sums start from. */
#define TIN_PAIR_CHANNELS 2 /* side by side */
#define TIN_MOST_QUADS 8    /* of a group */
#define TIN_QUAD_CODE 18    /* half the bytes of one quad's code */

/* Inputs and weights of two channels. The assembly knows the order of the fields. */
typedef struct tin_pairs {
    const uint32_t *end; /* of packed inputs */
    int32_t skip_code;   /* half bytes of code that groups leave out */
    const int32_t *weights;
    const uint32_t *packed;
} tin_pairs;

/* Adds to the sums of two channels. */
void tin_dot_pairs(const tin_pairs *p, int32_t sums[TIN_PAIR_CHANNELS]);

/* -- Requantization in C, for kernels with few outputs ---------------------------------------------- */

/* What a record holds behind its first word; `zero` and `drop` are only there if it is kinked. */
typedef struct tin_split {
    uint32_t last, m0, m1, c, zero, drop;
} tin_split;

static inline tin_split tin_split_at(const int32_t *record, int kinked)
{
    const uint32_t range = (uint32_t)record[0];
    const tin_split s = { range << 13 >> 13, range >> 19, (uint32_t)record[1], (uint32_t)record[2],
                          kinked ? (uint32_t)record[3] : 0, kinked ? (uint32_t)record[4] : 0 };
    return s;
}

/* One output, from an accumulator less the first one. */
static inline int8_t tin_split_output(uint32_t a, const tin_split *s, int32_t low, int32_t high)
{
    if (a > s->last) return (int8_t)((int32_t)a < 0 ? low : high);
    return (int8_t)((a * s->m1 + (a * s->m0 >> 13) + s->c + (a < s->zero ? s->drop : 0)) >> 24);
}

/* One output as the portable kernels compute it, for a channel without constants; they lie at `constants`. */
static inline int8_t tin_exact(uint32_t sum, const int32_t *constants, int32_t zero, int32_t low, int32_t high)
{
    const int32_t acc = tin_add_wrap((int32_t)sum, constants[0]);
    return (int8_t)tin_clamp(tin_requantize(acc, constants[1], constants[2]) + zero, low, high);
}

#endif /* TIN_THUMB1_H */
