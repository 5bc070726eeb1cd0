/* Kernels of the Tinsmith core and their parameters.
 *
 * Generated from tools/tinsmith/ops by `make generate`: do not edit.
 *
 * Every kernel computes the output rows [row, end). It validates nothing: `tinsmith` checked the
 * model when it wrote the parameters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_OPS_H
#define TIN_OPS_H

#include <stdint.h>

#include "tin_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ADD: Brings two tensors to a common scale with 20 bits of headroom, adds, requantizes, clamps. */
typedef struct tin_add_params {
    tin_rows in[2]; /* inputs */
    tin_rows out; /* output */
    int32_t outer; /* steps of the outer loop in a row */
    int32_t inner; /* steps of the inner loop */
    int32_t a_outer; /* elements of input 0 an outer step */
    int32_t a_inner; /* elements of input 0 an inner step */
    int32_t b_outer; /* elements of input 1 an outer step */
    int32_t b_inner; /* elements of input 1 an inner step */
    int32_t a_zero; /* zero point of input 0 */
    int32_t b_zero; /* zero point of input 1 */
    int32_t a_multiplier; /* scale of input 0, Q31 */
    int32_t b_multiplier; /* scale of input 1, Q31 */
    int32_t out_multiplier; /* scale of the output, Q31 */
    int32_t out_zero; /* zero point of the output */
    int8_t a_shift; /* power of two of input 0, not positive */
    int8_t b_shift; /* power of two of input 1, not positive */
    int8_t out_shift; /* power of two of the output, not positive */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_add_params;

#ifdef TIN_SHARED_KERNELS
void tin_add(const tin_add_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* AVERAGE_POOL_2D: Means of windows, rounded half away from zero; padding does not count. */
typedef struct tin_average_pool_2d_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t channels; /* channels */
    int16_t out_w; /* output columns */
    int16_t kernel_h; /* rows of the window */
    int16_t kernel_w; /* columns of the window */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_average_pool_2d_params;

#ifdef TIN_SHARED_KERNELS
void tin_average_pool_2d(const tin_average_pool_2d_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* CONCATENATION: Copies inputs side by side. Bytes are copied as they are, whatever the scales say,
 * as TensorFlow Lite Micro does. */
typedef struct tin_concatenation_params {
    const tin_rows *in; /* inputs */
    tin_rows out; /* output */
    const int32_t *chunks; /* [inputs] bytes that each input gives to a group */
    int32_t inputs; /* number of inputs */
    int32_t groups; /* runs of all inputs in a row */
} tin_concatenation_params;

#ifdef TIN_SHARED_KERNELS
void tin_concatenation(const tin_concatenation_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* CONV_2D: Convolves an NHWC image with weights [out, kernel_h, kernel_w, in], adds a bias,
 * requantizes each channel by its own scale, clamps. Image rows may be computed in equal parts,
 * each a row of the output: the same bytes in the same order. */
typedef struct tin_conv_2d_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int8_t *weights; /* in the order that the kernel reads them */
    const int32_t *bias; /* [out_c], input offset folded in */
    const int32_t *multiplier; /* [out_c], Q31 */
    const int8_t *shift; /* [out_c], power of two applied with the multiplier */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* columns of an output row */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
    int16_t row_parts; /* rows of the output that are one image row */
} tin_conv_2d_params;

#ifdef TIN_SHARED_KERNELS
void tin_conv_2d(const tin_conv_2d_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* DEPTHWISE_CONV_2D: Convolves each channel of an NHWC image with one or several kernels of its
 * own, weights [1, kernel_h, kernel_w, out]. */
typedef struct tin_depthwise_conv_2d_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int8_t *weights; /* in the order that the kernel reads them */
    const int32_t *bias; /* [out_c], input offset folded in */
    const int32_t *multiplier; /* [out_c], Q31 */
    const int8_t *shift; /* [out_c], power of two applied with the multiplier */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* columns of an output row */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_depthwise_conv_2d_params;

#ifdef TIN_SHARED_KERNELS
void tin_depthwise_conv_2d(const tin_depthwise_conv_2d_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* DEQUANTIZE: scale * (x - zero point) in single precision. */
typedef struct tin_dequantize_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    float scale; /* of the input */
    int32_t zero; /* zero point of the input */
    int32_t is_signed; /* 1: int8 input, 0: uint8 */
    int32_t row_elements; /* elements a row */
} tin_dequantize_params;

#ifdef TIN_SHARED_KERNELS
void tin_dequantize(const tin_dequantize_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* FULLY_CONNECTED: Multiplies rows of `in_c` values by weights [out, in], adds a bias, requantizes,
 * clamps. */
typedef struct tin_fully_connected_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int8_t *weights; /* [out_c][in_c] */
    const int32_t *bias; /* [out_c], input offset folded in */
    const int32_t *multiplier; /* Q31, [out_c] or one for all */
    const int8_t *shift; /* power of two applied with the multiplier, as many */
    int32_t in_c; /* values a row of the input */
    int32_t out_c; /* values a row of the output */
    int8_t per_channel; /* 1: a multiplier a channel; 0: one for all */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_fully_connected_params;

#ifdef TIN_SHARED_KERNELS
void tin_fully_connected(const tin_fully_connected_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* LOOKUP: Replaces every byte by the one that a table holds for it. */
typedef struct tin_lookup_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const uint8_t *table; /* [256], indexed by the input byte */
    int32_t row_bytes; /* bytes a row */
} tin_lookup_params;

#ifdef TIN_SHARED_KERNELS
void tin_lookup(const tin_lookup_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* MAX_POOL_2D: Greatest values of windows. */
typedef struct tin_max_pool_2d_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t channels; /* channels */
    int16_t out_w; /* output columns */
    int16_t kernel_h; /* rows of the window */
    int16_t kernel_w; /* columns of the window */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_max_pool_2d_params;

#ifdef TIN_SHARED_KERNELS
void tin_max_pool_2d(const tin_max_pool_2d_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* MEAN: Sums along the axes, then scales by one multiplier that holds the division (reduce.h,
 * QuantizedMeanOrSum). */
typedef struct tin_mean_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    int32_t count; /* values summed for an output */
    int32_t inner; /* values of the input between two of them; outputs a row */
    int32_t in_zero; /* zero point of the input */
    int32_t multiplier; /* Q31, the division by count in it */
    int32_t shift; /* power of two applied with the multiplier */
    int32_t out_zero; /* zero point of the output */
} tin_mean_params;

#ifdef TIN_SHARED_KERNELS
void tin_mean(const tin_mean_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* PAD: Surrounds a tensor with the quantized zero of the output. In front of a convolution it
 * becomes the convolution's own padding. */
typedef struct tin_pad_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    int32_t in_h; /* input rows */
    int32_t in_w; /* input columns */
    int32_t in_c; /* input channels */
    int32_t top; /* rows above */
    int32_t left; /* columns to the left */
    int32_t right; /* columns to the right */
    int32_t front; /* channels before */
    int32_t back; /* channels behind */
    int8_t value; /* quantized zero */
} tin_pad_params;

#ifdef TIN_SHARED_KERNELS
void tin_pad(const tin_pad_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* QUANTIZE: From float32: round(x / scale) + zero point, saturated. From bytes to bytes it is a
 * LOOKUP. */
typedef struct tin_quantize_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    float scale; /* of the output */
    int32_t zero; /* zero point of the output */
    int32_t low; /* least value of the output's type */
    int32_t high; /* greatest value of the output's type */
    int32_t row_elements; /* elements a row */
} tin_quantize_params;

#ifdef TIN_SHARED_KERNELS
void tin_quantize(const tin_quantize_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* SOFTMAX: Exponentials of differences to the greatest value of a row, over their sum, in fixed
 * point. An int8 row has at most 256 different differences, so the exponentials are a table made
 * offline. */
typedef struct tin_softmax_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int32_t *exponentials; /* [table_size] Q31: exp of minus the index, scaled */
    int32_t table_size; /* differences from here on count as zero */
    int32_t groups; /* softmaxes a row */
    int32_t depth; /* values in one softmax */
} tin_softmax_params;

#ifdef TIN_SHARED_KERNELS
void tin_softmax(const tin_softmax_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* ADD for dsp: Replaces three scalings and three roundings by one linear form. Its constants are
 * searched offline and checked on all 65,536 pairs of inputs; where none are found, the sum is
 * computed as defined. */
typedef struct tin_add_dsp_params {
    tin_rows in[2]; /* inputs */
    tin_rows out; /* output */
    int32_t outer; /* steps of the outer loop in a row */
    int32_t inner; /* steps of the inner loop */
    int32_t a_outer; /* elements of input 0 an outer step */
    int32_t a_inner; /* elements of input 0 an inner step */
    int32_t b_outer; /* elements of input 1 an outer step */
    int32_t b_inner; /* elements of input 1 an inner step */
    int32_t a_zero; /* zero point of input 0 */
    int32_t b_zero; /* zero point of input 1 */
    int32_t a_multiplier; /* scale of input 0, Q31 */
    int32_t b_multiplier; /* scale of input 1, Q31 */
    int32_t out_multiplier; /* scale of the output, Q31 */
    int32_t out_zero; /* zero point of the output */
    int8_t a_shift; /* power of two of input 0, not positive */
    int8_t b_shift; /* power of two of input 1, not positive */
    int8_t out_shift; /* power of two of the output, not positive */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    const int32_t *constants; /* 256 * A, 256 * B, C + 128 * 2^16 */
    int8_t linear; /* 1: the constants are right; 0: compute as defined */
} tin_add_dsp_params;

#ifdef TIN_SHARED_KERNELS
void tin_add_dsp(const tin_add_dsp_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* AVERAGE_POOL_2D for dsp: Adds up four channels at once, two to a word, for as many pixels as 16
 * bits hold. */
typedef struct tin_average_pool_2d_dsp_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t channels; /* channels */
    int16_t out_w; /* output columns */
    int16_t kernel_h; /* rows of the window */
    int16_t kernel_w; /* columns of the window */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_average_pool_2d_dsp_params;

#ifdef TIN_SHARED_KERNELS
void tin_average_pool_2d_dsp(const tin_average_pool_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* CONV_2D for dsp: Unpacks the windows of up to four pixels into scratch, two taps a word, and
 * multiplies them with weights of two channels a word. */
typedef struct tin_conv_2d_dsp_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int32_t *stream; /* [pairs][words + 7]: weights and scales, see tin_dsp.h */
    const int32_t *runs; /* pairs for blocks.S, pairs for plain C, in turn */
    int32_t words; /* weights of a pair */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* output columns */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t way; /* 0: windows one by one, 1: single pixels, 2: windows of a line, 3: sharing their columns */
    int8_t rows; /* rows of taps that are unpacked at once where windows come one by one: all, or one */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_conv_2d_dsp_params;
#ifndef TIN_CONV_2D_DSP_WINDOWS /* windows of several pixels, blocks that go on from row to row */
#define TIN_CONV_2D_DSP_WINDOWS 1
#endif
#ifndef TIN_CONV_2D_DSP_LINEAR /* windows of single pixels that lie one behind the other */
#define TIN_CONV_2D_DSP_LINEAR 1
#endif
#ifndef TIN_CONV_2D_DSP_LINES /* windows of several pixels, blocks that lie in one row */
#define TIN_CONV_2D_DSP_LINES 1
#endif
#ifndef TIN_CONV_2D_DSP_NINES /* rows of nine taps that lie in one line, as of 3x3 kernels over three colours */
#define TIN_CONV_2D_DSP_NINES 1
#endif
#ifndef TIN_CONV_2D_DSP_SLIDING /* the same for windows three columns wide that share them */
#define TIN_CONV_2D_DSP_SLIDING 1
#endif
#ifndef TIN_CONV_2D_DSP_BLOCK3 /* blocks of three pixels; else one of four fills up with a pixel twice */
#define TIN_CONV_2D_DSP_BLOCK3 1
#endif
#ifndef TIN_CONV_2D_DSP_BLOCK2 /* blocks of two pixels; else one of three or four fills up with a pixel twice */
#define TIN_CONV_2D_DSP_BLOCK2 1
#endif
#ifndef TIN_CONV_2D_DSP_PLAIN /* pairs of channels that blocks.S may not compute */
#define TIN_CONV_2D_DSP_PLAIN 1
#endif
#ifndef TIN_CONV_2D_DSP_LIMITS /* limits of the output other than those of int8 */
#define TIN_CONV_2D_DSP_LIMITS 1
#endif

#ifdef TIN_SHARED_KERNELS
void tin_conv_2d_dsp(const tin_conv_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* CONV_2D for dsp: Reads the windows of two pixels, a few taps at a time, and multiplies them with
 * weights of two channels a word. */
typedef struct tin_conv_2d_dsp_lean_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int32_t *weights; /* [quads / 2][steps][2][words of a step][2][2]: lanes of 256 * w1 + w0 */
    const int32_t *biases; /* [pairs][2][2]: 256 * b1 + b0, b0, for each of two pixels */
    const int32_t *scales; /* [pairs or one][6]: multiplier, constant, shift of the upper, then of the lower channel */
    int32_t scale_step; /* bytes from a pair's scales to the next one's */
    int16_t in_h; /* input rows */
    int32_t row_bytes; /* bytes of an input row */
    int16_t out_w; /* columns of an output row */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t runs; /* runs of a kernel row: taps that lie one behind the other */
    int32_t run_words; /* words of a run, filled up with weights of zero */
    int8_t rows; /* kernel rows at a time */
    int8_t words; /* words of a run at a time */
    int16_t stride_h; /* rows between outputs */
    int32_t step; /* bytes between outputs */
    int16_t dilation_h; /* rows between taps */
    int32_t run_step; /* bytes between runs */
    int16_t pad_top; /* rows of padding above */
    int32_t pad_left; /* bytes of padding to the left */
    int16_t row_parts; /* rows of the output that are one image row */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_conv_2d_dsp_lean_params;

#ifdef TIN_SHARED_KERNELS
void tin_conv_2d_dsp_lean(const tin_conv_2d_dsp_lean_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* DEPTHWISE_CONV_2D for dsp: Windows of up to 3x3 pixels with strides 1 and 2. Four channels at a
 * time walk over the whole image along its longer side: six multiply-accumulate instructions an
 * output, and two to requantize. */
typedef struct tin_depthwise_conv_2d_dsp_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int8_t *weights; /* [in_c][3 taps along a line][w0 w1 w1 w2 across] */
    const int32_t *scales; /* [in_c][multiplier, rounding and bias], see depthwise_lines.h */
    const int8_t *shift; /* [in_c], power of two applied with the multiplier; [1] if all channels are of fast kinds */
    const uint8_t *kinds; /* [in_c / 4], TIN_DW_FAST, ..._AWAY, ..._SLOW or ..._WIDE of four channels, two bits each */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* channels */
    int16_t out_w; /* output columns */
    int16_t kernel_h; /* rows of the kernel, at most 3 */
    int16_t kernel_w; /* columns of the kernel, at most 3 */
    int16_t stride_h; /* rows between outputs, 1 or 2 */
    int16_t stride_w; /* columns between outputs, 1 or 2 */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    uint8_t by_column; /* whether lines are columns of the image */
    uint8_t by_row; /* whether a row is finished before the next one begins */
    uint8_t pairs; /* whether lines are unpacked in pairs and kept */
    int16_t strip; /* columns of a row that are computed together; all, unless rows come one by one */
    uint8_t channels; /* channels, of 32 bytes, that scratch begins with */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_depthwise_conv_2d_dsp_params;
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_PAIRS /* stride 1 */
#define TIN_DEPTHWISE_CONV_2D_DSP_PAIRS 1
#endif
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_TRIPLES /* stride 2, and rows one by one */
#define TIN_DEPTHWISE_CONV_2D_DSP_TRIPLES 1
#endif
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_ROWS /* rows one by one */
#define TIN_DEPTHWISE_CONV_2D_DSP_ROWS 1
#endif
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_STRIDE2 /* stride 2 along the lines */
#define TIN_DEPTHWISE_CONV_2D_DSP_STRIDE2 1
#endif
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_AWAY /* channels whose second rounding matters below zero */
#define TIN_DEPTHWISE_CONV_2D_DSP_AWAY 1
#endif
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_WIDE /* channels with a scale of 1/8 to 1/2 */
#define TIN_DEPTHWISE_CONV_2D_DSP_WIDE 1
#endif
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_SLOW /* channels without a short requantization */
#define TIN_DEPTHWISE_CONV_2D_DSP_SLOW 1
#endif
#ifndef TIN_DEPTHWISE_CONV_2D_DSP_PIXELWISE /* inputs of fewer than four channels, and columns of a ring of rows */
#define TIN_DEPTHWISE_CONV_2D_DSP_PIXELWISE 1
#endif

#ifdef TIN_SHARED_KERNELS
void tin_depthwise_conv_2d_dsp(const tin_depthwise_conv_2d_dsp_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* FULLY_CONNECTED for dsp: Multiplies four channels at a time, two of them in a word, and unpacks
 * inputs on the way. */
typedef struct tin_fully_connected_dsp_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int32_t *weights; /* [quads][in_c / 4][2][2]: lanes of 256 * w1 + w0 */
    const int32_t *biases; /* [pairs][2]: 256 * b1 + b0, b0 */
    const int32_t *scales; /* [pairs or one][6]: multiplier, constant, shift of the upper, then of the lower channel */
    int32_t scale_step; /* bytes from a pair's scales to the next one's */
    int32_t in_c; /* values a row of the input */
    int32_t out_c; /* values a row of the output */
    int8_t wide; /* 1: sums may need more than 23 bits, biases and scales are as they are */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_fully_connected_dsp_params;

#ifdef TIN_SHARED_KERNELS
void tin_fully_connected_dsp(const tin_fully_connected_dsp_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* CONV_2D for mve: Multiplies the windows of three pixels with the weights of two channels, sixteen
 * taps an instruction. Windows of one row of taps inside the image stay where they are; others are
 * copied to scratch. */
typedef struct tin_conv_2d_mve_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int8_t *weights; /* [out_c][taps] */
    const int32_t *scales; /* [pairs][6]: biases with the input offset folded in; multiplier, shift; multiplier, shift */
    int32_t taps; /* bytes of a window */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* output columns */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t direct; /* 1: windows are one row of taps inside the image */
    int8_t relu; /* 1: nothing below the zero point matters, and no shift is positive */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_conv_2d_mve_params;

#ifdef TIN_SHARED_KERNELS
void tin_conv_2d_mve(const tin_conv_2d_mve_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* DEPTHWISE_CONV_2D for mve: Copies what the windows of a few pixels see of sixteen channels to
 * scratch, and computes those channels at once. */
typedef struct tin_depthwise_conv_2d_mve_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int8_t *weights; /* [groups][taps][16] */
    const int32_t *bias; /* [groups][4][4] in the order of sums, input offset folded in */
    const int32_t *multiplier; /* [groups][4][4], Q31 */
    const int8_t *shift; /* [groups][4][4], power of two applied with the multiplier */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* output columns */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int16_t tile_out; /* pixels that share a copy */
    int16_t tile_w; /* columns of a copy */
    int8_t nine; /* 1: windows are three by three neighbours, and no shift is positive */
    int8_t relu; /* 1: nothing below the zero point matters, and no shift is positive */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_depthwise_conv_2d_mve_params;

#ifdef TIN_SHARED_KERNELS
void tin_depthwise_conv_2d_mve(const tin_depthwise_conv_2d_mve_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* FULLY_CONNECTED for mve: Multiplies the input with the weights of four channels, sixteen values
 * an instruction. */
typedef struct tin_fully_connected_mve_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int8_t *weights; /* [out_c][in_c] */
    const int32_t *bias; /* [out_c], input offset folded in */
    const int32_t *multiplier; /* [out_c or 1], Q31 */
    const int32_t *shift; /* [out_c or 1], power of two applied with the multiplier */
    int32_t in_c; /* values a row of the input */
    int32_t out_c; /* values a row of the output */
    int8_t per_channel; /* 1: scales differ from channel to channel */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_fully_connected_mve_params;

#ifdef TIN_SHARED_KERNELS
void tin_fully_connected_mve(const tin_fully_connected_mve_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* AVERAGE_POOL_2D for rows: Windows as high as the image, row by row: keeps a sum for every output. */
typedef struct tin_average_pool_2d_rows_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t state; /* bytes from the start of the arena to what is kept from step to step */
    int16_t in_h; /* input rows, all of which the window covers */
    int16_t in_w; /* input columns */
    int16_t channels; /* channels */
    int16_t out_w; /* output columns */
    int16_t kernel_w; /* columns of the window */
    int16_t stride_w; /* columns between outputs */
    int16_t pad_left; /* columns of padding to the left */
    int8_t form; /* of the sums: 0 packed, 1 narrow, 2 wide */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_average_pool_2d_rows_params;
#ifndef TIN_AVERAGE_POOL_2D_ROWS_PACKED /* sums of 16 bits, two at a time: up to 257 values, multiples of four channels */
#define TIN_AVERAGE_POOL_2D_ROWS_PACKED 1
#endif
#ifndef TIN_AVERAGE_POOL_2D_ROWS_PLAIN /* other sums, one at a time */
#define TIN_AVERAGE_POOL_2D_ROWS_PLAIN 1
#endif

#ifdef TIN_SHARED_KERNELS
void tin_average_pool_2d_rows(const tin_average_pool_2d_rows_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* FULLY_CONNECTED for rows: Weighted sums of a whole image, row by row: keeps an accumulator for
 * every output. */
typedef struct tin_fully_connected_rows_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t state; /* bytes from the start of the arena to what is kept from step to step */
    const int8_t *weights; /* [in_h]: [quads of channels][row_c][4], then [channels left over][row_c] */
    const int32_t *bias; /* [out_c], input offset folded in */
    const int32_t *multiplier; /* Q31, [out_c] or one for all */
    const int8_t *shift; /* power of two applied with the multiplier, as many */
    int32_t in_h; /* rows of the input, which is one image */
    int32_t row_c; /* values a row of the input */
    int32_t out_c; /* outputs */
    int8_t per_channel; /* 1: a multiplier a channel; 0: one for all */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_fully_connected_rows_params;

#ifdef TIN_SHARED_KERNELS
void tin_fully_connected_rows(const tin_fully_connected_rows_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* MEAN for rows: Means over all rows of an image, row by row: keeps a sum for every output. */
typedef struct tin_mean_rows_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t state; /* bytes from the start of the arena to what is kept from step to step */
    int32_t in_h; /* input rows */
    int32_t pixels; /* values of a row that are summed for an output */
    int32_t inner; /* values between two of them; outputs */
    int8_t form; /* of the sums: 0 packed, 1 narrow, 2 wide */
    int32_t offset; /* added to a sum as it is kept: less zero points, and 128 a value if packed */
    int32_t multiplier; /* Q31, the division by the number of values in it */
    int32_t shift; /* power of two applied with the multiplier */
    int32_t out_zero; /* zero point of the output */
} tin_mean_rows_params;
#ifndef TIN_MEAN_ROWS_PACKED /* sums of 16 bits, two at a time: up to 257 values, multiples of four channels */
#define TIN_MEAN_ROWS_PACKED 1
#endif
#ifndef TIN_MEAN_ROWS_PLAIN /* other sums, one at a time */
#define TIN_MEAN_ROWS_PLAIN 1
#endif

#ifdef TIN_SHARED_KERNELS
void tin_mean_rows(const tin_mean_rows_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* CONV_2D for thumb1: Packs the windows of six pixels into the scratch, three pixels in two words,
 * and multiplies them with one channel's weights after the other; requantizes with two
 * multiplications. */
typedef struct tin_conv_2d_thumb1_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const uint8_t *weights; /* [out_c][chunk * chunks], 128 added, filled up with 128 */
    const int8_t *padding; /* the input's zero point, for a tap or a row of a strip, if there is padding */
    const int32_t *scales; /* a record for each channel, then constants of channels that need their own */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* output columns */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int16_t span; /* neighbouring outputs whose windows are packed as one strip of columns */
    int16_t columns; /* input columns of a strip; 0: windows are packed one by one, taps a row at a time */
    int32_t chunk; /* taps of a part whose sums are unpacked by themselves */
    int32_t chunks; /* such parts */
    int8_t scale_words; /* words of a record: 4, or 6 if the outputs' zero point lies between them */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_conv_2d_thumb1_params;
#ifndef TIN_CONV_2D_THUMB1_LINEAR /* windows of single pixels that lie one behind the other */
#define TIN_CONV_2D_THUMB1_LINEAR 1
#endif
#ifndef TIN_CONV_2D_THUMB1_COLUMNS /* windows packed as strips of columns */
#define TIN_CONV_2D_THUMB1_COLUMNS 1
#endif
#ifndef TIN_CONV_2D_THUMB1_ROWS /* windows packed a row of taps at a time */
#define TIN_CONV_2D_THUMB1_ROWS 1
#endif

#ifdef TIN_SHARED_KERNELS
void tin_conv_2d_thumb1(const tin_conv_2d_thumb1_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* DEPTHWISE_CONV_2D for thumb1: Windows of up to 3x3 pixels, strides 1 and 2. Four channels at a
 * time walk over the whole image along its longer side. */
typedef struct tin_depthwise_conv_2d_thumb1_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int8_t *weights; /* [in_c][taps across lines][taps along a line], 3x3, filled up with zeros */
    const int32_t *scales; /* a record for each channel, then constants of channels that need their own */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* channels of input and output */
    int16_t out_w; /* output columns */
    int16_t stride_along; /* pixels between outputs of a line, 1 or 2 */
    int16_t stride_across; /* pixels between lines of outputs */
    int16_t pad_along; /* pixels of padding before a line */
    int16_t pad_across; /* lines of padding before the first one */
    uint8_t by_column; /* 1: lines are columns of the image, 0: they are rows */
    uint8_t some_exact; /* 1: some channels have no constants, and compute as the portable kernels do */
    int8_t scale_words; /* words of a record: 4, or 6 if the outputs' zero point lies between them */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_depthwise_conv_2d_thumb1_params;

#ifdef TIN_SHARED_KERNELS
void tin_depthwise_conv_2d_thumb1(const tin_depthwise_conv_2d_thumb1_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* FULLY_CONNECTED for thumb1: Multiplies a pair of inputs with a pair of weights at a time, two
 * channels side by side. */
typedef struct tin_fully_connected_thumb1_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int32_t *weights; /* [out_c / 2][quads][2], four weights in a word, 128 added to each */
    const int32_t *outliers; /* weights that are zeros there: input * 2^10 | channel % 2 * 2^8 | weight, ... */
    const int32_t *scales; /* a record for each channel, then constants that several share */
    int32_t in_c; /* values a row of the input */
    int32_t out_c; /* values a row of the output */
    int32_t quads; /* words of weights a channel */
    int32_t piece; /* words whose inputs are packed at a time */
    int16_t group; /* words whose products are summed in 16 bits */
    int8_t has_outliers; /* 0 if there are none at all */
    int8_t scale_words; /* words of a record: 1, 4, or 6 if the outputs' zero point lies between them */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
    int32_t out_zero; /* zero point of the output */
} tin_fully_connected_thumb1_params;

#ifdef TIN_SHARED_KERNELS
void tin_fully_connected_thumb1(const tin_fully_connected_thumb1_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* ADD for word: Adds as (a * x1 + b * x2 + c) >> shift where these constants exist; they were tried
 * on all pairs of bytes. */
typedef struct tin_add_word_params {
    tin_rows in[2]; /* inputs */
    tin_rows out; /* output */
    int32_t count; /* values a row */
    int32_t a; /* factor of input 0 */
    int32_t b; /* factor of input 1 */
    int32_t c; /* offset */
    int8_t shift; /* power of two by which sums are divided */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_add_word_params;

#ifdef TIN_SHARED_KERNELS
void tin_add_word(const tin_add_word_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* AVERAGE_POOL_2D for word: Adds four channels at a time, two sums of 16 bits in a word. */
typedef struct tin_average_pool_2d_word_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t channels; /* channels */
    int16_t out_w; /* output columns */
    int16_t kernel_h; /* rows of the window */
    int16_t kernel_w; /* columns of the window */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int8_t low; /* least output */
    int8_t high; /* greatest output */
} tin_average_pool_2d_word_params;

#ifdef TIN_SHARED_KERNELS
void tin_average_pool_2d_word(const tin_average_pool_2d_word_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* CONV_2D for word: Packs the windows of six pixels into the scratch, three pixels in two words,
 * and multiplies them with four channels' weights at a time; requantizes with one multiplication. */
typedef struct tin_conv_2d_word_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int8_t *weights; /* [out_c / 4][chunk * chunks][4], filled up with zeros */
    const int8_t *padding; /* the input's zero point, for a tap or a row of a strip, if there is padding */
    const int32_t *scales; /* a record for each channel, then constants of channels that need their own */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* output columns */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int16_t span; /* neighbouring outputs whose windows are packed as one strip of columns */
    int16_t columns; /* input columns of a strip; 0: windows are packed one by one, taps a row at a time */
    int16_t chunks; /* parts of the taps whose sums are unpacked one by one */
    int32_t chunk; /* taps of a part */
    int8_t scale_words; /* words of a record: 2, or 4 if the outputs' zero point lies between them */
    int8_t low; /* least output */
    int16_t steps; /* outputs above it */
    int32_t out_zero; /* zero point of the output */
} tin_conv_2d_word_params;
#ifndef TIN_CONV_2D_WORD_LINEAR /* windows of single pixels that lie one behind the other */
#define TIN_CONV_2D_WORD_LINEAR 1
#endif
#ifndef TIN_CONV_2D_WORD_COLUMNS /* windows packed as strips of columns */
#define TIN_CONV_2D_WORD_COLUMNS 1
#endif
#ifndef TIN_CONV_2D_WORD_ROWS /* windows packed a row of taps at a time */
#define TIN_CONV_2D_WORD_ROWS 1
#endif

#ifdef TIN_SHARED_KERNELS
void tin_conv_2d_word(const tin_conv_2d_word_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* DEPTHWISE_CONV_2D for word: Computes a row of one channel after the other; windows of 3x3 slide
 * along it with nine weights in registers, other windows are taken four at a time; requantizes with
 * one multiplication. */
typedef struct tin_depthwise_conv_2d_word_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    const int8_t *weights; /* [out_c][kernel_h][kernel_w] */
    const int32_t *scales; /* a record for each channel, then constants of channels that need their own */
    int16_t in_h; /* input rows */
    int16_t in_w; /* input columns */
    int16_t in_c; /* input channels */
    int16_t out_w; /* output columns */
    int16_t out_c; /* output channels */
    int16_t kernel_h; /* rows of the kernel */
    int16_t kernel_w; /* columns of the kernel */
    int16_t stride_h; /* rows between outputs */
    int16_t stride_w; /* columns between outputs */
    int16_t dilation_h; /* rows between taps */
    int16_t dilation_w; /* columns between taps */
    int16_t pad_top; /* rows of padding above */
    int16_t pad_left; /* columns of padding to the left */
    int16_t steps; /* outputs above `low` */
    int8_t slides; /* 1: a window of 3x3 that slides; 0: any other */
    int8_t scale_words; /* words of a record: 2, or 4 if the outputs' zero point lies between them */
    int8_t pad_value; /* what padding holds: the input's zero point */
    int8_t low; /* least output */
    int32_t out_zero; /* zero point of the output */
} tin_depthwise_conv_2d_word_params;

#ifdef TIN_SHARED_KERNELS
void tin_depthwise_conv_2d_word(const tin_depthwise_conv_2d_word_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

/* FULLY_CONNECTED for word: Multiplies a pair of inputs with a pair of weights at a time, four
 * channels side by side. */
typedef struct tin_fully_connected_word_params {
    tin_rows in; /* input */
    tin_rows out; /* output */
    uint32_t scratch; /* bytes from the start of the arena */
    const int32_t *weights; /* [out_c / 4][quads][4], four weights in a word, each plus 128 */
    const int32_t *outliers; /* weights that are zeros there: input * 2^10 | channel % 4 * 2^8 | weight, ... */
    const int32_t *scales; /* a record for each channel, then constants that several share */
    int32_t in_c; /* values a row of the input */
    int32_t out_c; /* values a row of the output */
    int32_t quads; /* words of weights a channel */
    int32_t piece; /* words whose inputs are packed at a time */
    int16_t group; /* words whose products are summed in 16 bits */
    int16_t steps; /* outputs above `low` */
    int8_t has_outliers; /* 0 if there are none at all */
    int8_t scale_words; /* words of a record: 1, 2, or 4 if the outputs' zero point lies between them */
    int8_t low; /* least output */
    int32_t out_zero; /* zero point of the output */
} tin_fully_connected_word_params;

#ifdef TIN_SHARED_KERNELS
void tin_fully_connected_word(const tin_fully_connected_word_params *p, uint8_t *arena, int32_t row, int32_t end);
#endif

#ifdef __cplusplus
}
#endif
#endif /* TIN_OPS_H */
