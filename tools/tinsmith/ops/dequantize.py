"""DEQUANTIZE: bytes to float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import quantized, random_shape, single
from ._quantized import quant_problem
from .base import Call, Op, rule
from .params import F32, I32, note


class Dequantize(Op):
    """scale * (x - zero point) in single precision."""

    name = "DEQUANTIZE"
    onnx = ("DequantizeLinear",)
    max_version = 8

    @dataclass(frozen=True)
    class Attrs:
        pass

    @dataclass(frozen=True)
    class Params:
        scale: F32 = note("of the input")
        zero: I32 = note("zero point of the input")
        is_signed: I32 = note("1: int8 input, 0: uint8")
        row_elements: I32 = note("elements a row")

    @rule
    def types_are_known(self, call: Call) -> str | None:
        """The input must be int8 or uint8, the output float32."""
        known = call.x.dtype in (np.int8, np.uint8) and call.y.dtype == np.float32
        return None if known else f"{call.x.dtype} to {call.y.dtype}"

    @rule
    def input_has_one_scale(self, call: Call) -> str | None:
        """The input must have exactly one positive scale and a zero point in the range of its type."""
        return quant_problem(call.x)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        with np.errstate(over="ignore"):  # infinite, as in C
            return np.float32(call.x.scale) * (inputs[0].astype(np.int32) - call.x.zero_point).astype(np.float32)

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def separation(self, call: Call, index: int) -> int | None:
        # Element i's four bytes may reach up to the input byte i, which was just read.
        return 3 * call.y.size

    def params(self, call: Call) -> Params:
        return self.Params(call.x.scale, call.x.zero_point, int(call.x.dtype == np.int8), self.rows(call, call.x)[1])

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            shape = random_shape(rng, int(rng.integers(1, 5)))
            x = quantized(rng, "x", shape, rng.choice(["int8", "uint8"]))
            graph = single(self, self.Attrs(), [x], Tensor("y", shape, np.dtype(np.float32)))
            if graph is not None:
                yield graph
