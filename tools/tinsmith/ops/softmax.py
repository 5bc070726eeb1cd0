"""SOFTMAX along the last dimension, int8."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from .. import fixed
from ..graph import Array, Graph, Quant
from ._examples import quantized, random_shape, single
from ._quantized import Int8Op
from .base import Call, rule
from .params import I32, I32s, note

INTEGER_BITS = 5  # of the scaled difference to the row's maximum (softmax.h)
ACCUMULATOR_BITS = 12


class Softmax(Int8Op):
    """Exponentials of differences to the greatest value of a row, over their sum, in fixed point.

    An int8 row has at most 256 different differences, so the exponentials are a table made offline.
    """

    name = "SOFTMAX"
    onnx = ("Softmax",)
    max_version = 3

    @dataclass(frozen=True)
    class Attrs:
        beta: float = 1.0

    @dataclass(frozen=True)
    class Params:
        exponentials: I32s = note("[table_size] Q31: exp of minus the index, scaled")
        table_size: I32 = note("differences from here on count as zero")
        groups: I32 = note("softmaxes a row")
        depth: I32 = note("values in one softmax")

    @rule
    def output_scale_is_one_256th(self, call: Call) -> str | None:
        """The output must have scale 1/256 and zero point -128."""
        if call.y.scale == 1 / 256 and call.y.zero_point == -128:
            return None
        return f"scale {call.y.scale}, zero point {call.y.zero_point}"

    @rule
    def rows_are_short(self, call: Call) -> str | None:
        """A softmax must have from 1 to 4095 values, so that the sum fits its fixed-point format, and at most
        four dimensions."""
        shape = call.x.shape
        return None if 1 <= len(shape) <= 4 and shape[-1] <= 4095 else f"shape {list(shape)}"

    @rule
    def beta_is_usable(self, call: Call) -> str | None:
        """Beta times the input scale must be above 2^-26."""
        product = call.attrs.beta * call.x.scale
        return None if 2**-26 < product < math.inf else f"{product}"

    def exponentials(self, call: Call) -> Array:
        """exp(-i * scale * beta) in Q0.31 for i = 0, 1, ... as far as they count (PreprocessSoftmaxScaling)."""
        real = min(call.attrs.beta * call.x.scale * 2.0 ** (31 - INTEGER_BITS), 2.0**31 - 1)
        multiplier, shift = fixed.quantize_multiplier(real)
        radius = math.floor((2**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift)
        scaled = fixed.doubling_high_mul(-np.arange(min(radius, 255) + 1) * 2**shift, multiplier)
        return fixed.exp_on_negative_values(scaled, INTEGER_BITS).astype(np.int32)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        table = self.exponentials(call).astype(np.int64)
        x = inputs[0].astype(np.int64)
        index = x.max(axis=-1, keepdims=True) - x
        counted = index < len(table)
        exps = np.where(counted, table[np.minimum(index, len(table) - 1)], 0)
        total = fixed.rounding_shift(exps, ACCUMULATOR_BITS).sum(axis=-1, keepdims=True)
        headroom = 31 - np.floor(np.log2(total)).astype(np.int64)
        scale = fixed.reciprocal_one_plus((total << headroom) - 2**31)
        out = fixed.rounding_shift(fixed.doubling_high_mul(scale, exps), ACCUMULATOR_BITS - headroom + 31 - 8)
        return np.where(counted, np.clip(out - 128, -128, 127), -128).astype(np.int8)

    def params(self, call: Call) -> Any:
        table, depth = self.exponentials(call), call.x.shape[-1]
        return self.Params(table, len(table), self.rows(call, call.x)[1] // depth, depth)

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def separation(self, call: Call, index: int) -> int | None:
        return 0  # a value is read for the last time just before its place is written

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            depth = int(rng.integers(1, 40 if rng.random() < 0.9 else 512))
            shape = (*random_shape(rng, int(rng.integers(0, 4)), 5), depth)
            x = quantized(rng, "x", shape)
            y = quantized(rng, "y", shape)
            y = type(y)(y.name, y.shape, y.dtype, Quant((1 / 256,), (-128,)))
            graph = single(self, self.Attrs(beta=float(rng.choice([1.0, 1.0, 0.5, 2.0, 0.01, 100.0]))), [x], y)
            if graph is not None:
                yield graph
