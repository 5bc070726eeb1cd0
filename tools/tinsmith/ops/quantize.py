"""QUANTIZE: from float32, or from one scale to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from .. import fixed
from ..graph import Array, Graph, Tensor
from ._examples import quantized, random_ratio, random_shape, single
from ._quantized import centred, factor_problem, quant_problem
from ._table import Tabulated
from .base import Call, rule
from .params import F32, I32, note


class Quantize(Tabulated):
    """From float32: round(x / scale) + zero point, saturated. From bytes to bytes it is a LOOKUP."""

    name = "QUANTIZE"
    onnx = ("QuantizeLinear",)
    max_version = 5

    @dataclass(frozen=True)
    class Attrs:
        pass

    @dataclass(frozen=True)
    class Params:
        scale: F32 = note("of the output")
        zero: I32 = note("zero point of the output")
        low: I32 = note("least value of the output's type")
        high: I32 = note("greatest value of the output's type")
        row_elements: I32 = note("elements a row")

    @rule
    def activations_are_int8(self, call: Call) -> str | None:
        """The types must be float32 to int8, or int8 or uint8 to int8, or int8 to uint8."""
        pair = call.x.dtype.name, call.y.dtype.name
        known = {("float32", "int8"), ("uint8", "int8"), ("int8", "int8"), ("int8", "uint8")}
        return None if pair in known else f"{pair[0]} to {pair[1]}"

    @rule
    def activations_have_one_scale(self, call: Call) -> str | None:
        """Integer tensors must have exactly one positive scale and a zero point in the range of their type."""
        quantized_ones = [t for t in (call.x, call.y) if t.dtype != np.float32]
        return next((p for t in quantized_ones if (p := quant_problem(t))), None)

    @rule
    def factor_fits(self, call: Call) -> str | None:
        """From bytes to bytes, the input scale must be below 2^30 output scales."""
        return None if call.x.dtype == np.float32 else factor_problem(call.x.scale / call.y.scale)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        info = np.iinfo(call.y.dtype)
        if call.x.dtype == np.float32:
            with np.errstate(over="ignore"):
                scaled = (x / np.float32(call.y.scale)).astype(np.float64)
            # Values beyond this saturate whatever the zero point; clipping keeps the conversion defined.
            rounded = np.clip(np.sign(scaled) * np.floor(np.abs(scaled) + 0.5), -(2.0**20), 2.0**20)
            out = np.nan_to_num(rounded).astype(np.int64) + call.y.zero_point
        else:
            scale = fixed.quantize_multiplier(call.x.scale / call.y.scale)
            out = fixed.requantize(centred(x, call.x), *scale) + call.y.zero_point
        saturated: Array = np.clip(out, info.min, info.max).astype(call.y.dtype)
        return saturated

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def separation(self, call: Call, index: int) -> int | None:
        return 0  # a byte replaces the first of the four that were read for it, or of an earlier element

    def params(self, call: Call) -> Params:
        info = np.iinfo(call.y.dtype)
        return self.Params(call.y.scale, call.y.zero_point, int(info.min), int(info.max), self.rows(call, call.y)[1])

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            shape = random_shape(rng, int(rng.integers(1, 5)))
            kind = int(rng.integers(0, 4))
            y = quantized(rng, "y", shape, np.uint8 if kind == 3 else np.int8)
            x: Tensor = Tensor("x", shape, np.dtype(np.float32))
            if kind:
                x = quantized(rng, "x", shape, np.uint8 if kind == 1 else np.int8, y.scale * random_ratio(rng))
            graph = single(self, self.Attrs(), [replace(x, name="x")], y)
            if graph is not None:
                yield graph
