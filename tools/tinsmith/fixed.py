"""Fixed-point arithmetic of TensorFlow Lite, in numpy; `firmware/core/tin_math.h` is the same in C.

All functions take and return int64 arrays that hold int32 values, and wrap where TFLite's C++ would.
Sources: tensorflow/lite/kernels/internal/common.h, quantization_util.cc, and gemmlowp fixedpoint.h.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def wrap32(x: Ints) -> Ints:
    """Reduce to int32 by two's complement wrap-around."""
    return (np.asarray(x, np.int64) + 2**31) % 2**32 - 2**31


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A positive real factor as (multiplier in [2^30, 2^31), shift): real = multiplier * 2^(shift - 31)."""
    if real == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    multiplier = _round_half_away(mantissa * 2**31)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (multiplier, shift) if shift >= -31 else (0, 0)


def _round_half_away(x: float) -> int:
    return math.floor(x + 0.5) if x >= 0 else -math.floor(-x + 0.5)


def doubling_high_mul(a: Ints, b: Ints | int) -> Ints:
    """High half of 2*a*b, rounded half up, saturated (SaturatingRoundingDoublingHighMul)."""
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    high = (a * b + 2**30) >> 31
    return np.where((a == INT32_MIN) & (b == INT32_MIN), INT32_MAX, high)


def rounding_shift(x: Ints, exponent: Ints | int) -> Ints:
    """x / 2^exponent, rounded half away from zero (RoundingDivideByPOT)."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> exponent) + ((x & mask) > threshold), np.int64)


def requantize(x: Ints, multiplier: Ints | int, shift: Ints | int) -> Ints:
    """x * multiplier * 2^(shift - 31) with TFLite's two roundings (MultiplyByQuantizedMultiplier)."""
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    return rounding_shift(doubling_high_mul(wrap32(np.asarray(x, np.int64) << left), multiplier), right)


def saturating_shift_left(x: Ints, exponent: int) -> Ints:
    """x * 2^exponent, saturated to int32 (SaturatingRoundingMultiplyByPOT with a positive exponent)."""
    return np.asarray(np.clip(np.asarray(x, np.int64) << exponent, INT32_MIN, INT32_MAX), np.int64)


def exp_on_negative_values(x: Ints, integer_bits: int) -> Ints:
    """exp(x) in Q0.31 for x <= 0 in Q(integer_bits).(31 - integer_bits)."""
    x = np.asarray(x, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    remainder = (x & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(saturating_shift_left(remainder, integer_bits))
    missing = remainder - x
    # exp(-2^k) in Q0.31 for k = -2 .. 4: the factors of a binary decomposition of the exponent.
    for power in range(-2, 5):
        if integer_bits > power:
            factor = _round_half_away(math.exp(-(2.0**power)) * 2**31)
            bit = 1 << (fraction_bits + power)
            result = np.where(missing & bit, doubling_high_mul(result, factor), result)
    if integer_bits > 5:
        result = np.where(x < -(1 << (fraction_bits + 5)), 0, result)
    return np.where(x == 0, INT32_MAX, result)


def _exp_between_minus_quarter_and_zero(a: Ints) -> Ints:
    """Taylor series of exp around -1/8, Q0.31 in and out."""
    constant = _round_half_away(math.exp(-1 / 8) * 2**31)
    third = _round_half_away(2**31 / 3)
    x = a + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4_over_4 = rounding_shift(doubling_high_mul(x2, x2), 2)
    series = rounding_shift(doubling_high_mul(x4_over_4 + x3, third) + x2, 1)
    return wrap32(constant + doubling_high_mul(x + series, constant))


def reciprocal_one_plus(a: Ints) -> Ints:
    """1 / (1 + a) in Q0.31 for a in [0, 1) Q0.31, by three Newton-Raphson steps."""
    half = rounding_half_sum(a, INT32_MAX)
    x = wrap32(_round_half_away(48 / 17 * 2**29) + doubling_high_mul(half, -_round_half_away(32 / 17 * 2**29)))
    for _ in range(3):
        residue = (1 << 29) - doubling_high_mul(half, x)
        x = wrap32(x + saturating_shift_left(doubling_high_mul(x, residue), 2))
    return saturating_shift_left(x, 1)


def rounding_half_sum(a: Ints, b: Ints | int) -> Ints:
    """(a + b) / 2 rounded half away from zero (RoundingHalfSum)."""
    total = np.asarray(a, np.int64) + b
    return np.asarray(np.sign(total + (total >= 0)) * ((np.abs(total) + 1) // 2), np.int64)


def logistic(x: Ints, integer_bits: int) -> Ints:
    """1 / (1 + exp(-x)) in Q0.31, for x in Q(integer_bits).(31 - integer_bits)."""
    x = np.asarray(x, np.int64)
    positive = reciprocal_one_plus(exp_on_negative_values(-np.abs(x), integer_bits))
    result = np.where(x < 0, INT32_MAX - positive, positive)
    return np.where(x == 0, 1 << 30, result)


def activation_range(activation: str, scale: float, zero_point: int, dtype: np.dtype[Any]) -> tuple[int, int]:
    """Clamp limits of a fused activation in quantized units (CalculateActivationRangeQuantized).

    Raises KeyError for an activation that has no clamp form.
    """
    info = np.iinfo(dtype)
    low, high = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}[
        activation
    ]
    lo = info.min if low is None else max(info.min, quantize_value(low, scale, zero_point))
    hi = info.max if high is None else min(info.max, quantize_value(high, scale, zero_point))
    return lo, hi


def quantize_value(real: float, scale: float, zero_point: int) -> int:
    """A real constant in quantized units, rounded half away from zero in float32."""
    return zero_point + _round_half_away(float(np.float32(real) / np.float32(scale)))
