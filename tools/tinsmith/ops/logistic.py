"""LOGISTIC: the sigmoid, int8."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from .. import fixed
from ..graph import Array, Quant, Tensor
from ._quantized import centred
from ._table import Tabulated
from .base import Call, rule

INTEGER_BITS = 4  # of the input to the fixed-point sigmoid (logistic_common.cc)


class Logistic(Tabulated):
    """1 / (1 + exp(-x)) in fixed point."""

    name = "LOGISTIC"
    onnx = ("Sigmoid",)
    max_version = 3

    @rule
    def output_zero_point_is_least(self, call: Call) -> str | None:
        """The output must have zero point -128; its scale is taken to be 1/256."""
        return None if call.y.zero_point == -128 else f"zero point {call.y.zero_point}"

    @rule
    def input_scale_is_not_tiny(self, call: Call) -> str | None:
        """The input scale must be at least 2^-28."""
        return None if call.x.scale >= 2.0**-28 else f"{call.x.scale:.4g}"

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        multiplier, shift = fixed.quantize_multiplier(call.x.scale * 2.0 ** (31 - INTEGER_BITS))
        radius = math.floor((2**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift)
        x = centred(inputs[0], call.x)
        inside = np.clip(x, -radius, radius)
        out = fixed.logistic(fixed.requantize(inside, multiplier, shift), INTEGER_BITS)
        out = np.clip(fixed.rounding_shift(out, 31 - 8) - 128, -128, 127)
        return np.where(x <= -radius, -128, np.where(x >= radius, 127, out)).astype(np.int8)

    def random_output(self, rng: Generator, y: Tensor) -> Tensor:
        return replace(y, quant=Quant((1 / 256 if rng.random() < 0.8 else y.scale,), (-128,)))
