"""PAD: a border of zeros, int8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import quantized, random_shape, single
from ._interval import Interval, channel_count
from ._quantized import Int8Op
from .base import Call, rule
from .params import I8, I32, note
from .tensors import Shape, nhwc


class Pad(Int8Op):
    """Surrounds a tensor with the quantized zero of the output. In front of a convolution it becomes
    the convolution's own padding."""

    name = "PAD"
    onnx = ("Pad",)
    max_version = 5
    arity = (2, 2)

    @dataclass(frozen=True)
    class Attrs:
        pass

    @dataclass(frozen=True)
    class Params:
        in_h: I32 = note("input rows")
        in_w: I32 = note("input columns")
        in_c: I32 = note("input channels")
        top: I32 = note("rows above")
        left: I32 = note("columns to the left")
        right: I32 = note("columns to the right")
        front: I32 = note("channels before")
        back: I32 = note("channels behind")
        value: I8 = note("quantized zero")

    @rule
    def paddings_are_constant(self, call: Call) -> str | None:
        """Paddings must be a constant int32 array of (before, after), one pair a dimension, none negative."""
        p = call.input(1)
        if p.data is None or p.dtype != np.int32:
            return f"{p.name!r} is {'computed at run time' if p.data is None else p.dtype}"
        if p.data.shape != (len(call.x.shape), 2):
            return f"paddings of shape {list(p.shape)} for {len(call.x.shape)} dimensions"
        return None if not (p.data < 0).any() else f"{int(p.data.min())}"

    @rule
    def batch_is_not_padded(self, call: Call) -> str | None:
        """At most four dimensions, and with four a batch of 1 that is not padded."""
        shape = call.x.shape
        if len(shape) < 4 or (len(shape) == 4 and shape[0] == 1 and self.borders(call)[0] == (0, 0)):
            return None
        return f"shape {list(shape)}"

    @rule
    def scales_are_equal(self, call: Call) -> str | None:
        """Input and output must have the same zero point: values are copied."""
        return None if call.x.zero_point == call.y.zero_point else f"{call.x.zero_point} and {call.y.zero_point}"

    def borders(self, call: Call) -> list[tuple[int, int]]:
        """(before, after) of the four NHWC dimensions."""
        data = call.input(1).data
        assert data is not None
        pairs = [(int(a), int(b)) for a, b in data]
        return [(0, 0)] * (4 - len(pairs)) + pairs

    def output_shape(self, call: Call) -> Shape:
        borders = self.borders(call)[4 - len(call.x.shape) :]
        return tuple(d + a + b for d, (a, b) in zip(call.x.shape, borders, strict=True))

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return min(max(0, row - self.borders(call)[1][0]), nhwc(call.x.shape)[1])

    def last_input_row(self, call: Call, index: int, row: int) -> int:
        return min(row - self.borders(call)[1][0], nhwc(call.x.shape)[1] - 1)

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        if inputs[0] is None:
            return Interval.whole(call.y)
        *around, channels = self.borders(call)
        zero = call.y.zero_point
        x = inputs[0].union(zero) if any(sum(b) for b in around) else inputs[0]
        return Interval(*(np.pad(e, channels, constant_values=zero) for e in (x.low, x.high)))

    def channel_sources(self, call: Call, index: int) -> Array | None:
        return np.pad(np.arange(channel_count(call.x.shape)), self.borders(call)[3], constant_values=-1)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        borders = self.borders(call)[4 - len(call.x.shape) :]
        return np.pad(inputs[0], borders, constant_values=call.y.zero_point)

    def params(self, call: Call) -> Params:
        _, (top, _), (left, right), (front, back) = self.borders(call)
        _, h, w, c = nhwc(call.x.shape)
        return self.Params(h, w, c, top, left, right, front, back, call.y.zero_point)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            rank = int(rng.integers(1, 5))
            x = quantized(rng, "x", (1, *random_shape(rng, 3, 6))[4 - rank :])
            pads = rng.integers(0, 4, (rank, 2)).astype(np.int32)
            pads[0] *= rank < 4
            paddings = Tensor("paddings", pads.shape, pads.dtype, None, pads)
            graph = single(self, self.Attrs(), [x, paddings], replace(x, name="y"))
            if graph is not None:
                yield graph
