"""MEAN: over neighbouring dimensions, int8."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from .. import fixed
from ..graph import Array, Graph, Tensor
from ._examples import quantized, random_ratio, random_shape, single
from ._interval import Interval, channel_count, in_order
from ._quantized import Int8Op, factor_problem
from .base import Call, rule
from .params import I32, note
from .tensors import Shape


class Mean(Int8Op):
    """Sums along the axes, then scales by one multiplier that holds the division (reduce.h,
    QuantizedMeanOrSum)."""

    name = "MEAN"
    onnx = ("ReduceMean", "GlobalAveragePool")
    max_version = 3
    arity = (2, 2)

    @dataclass(frozen=True)
    class Attrs:
        keep_dims: bool = False

    @dataclass(frozen=True)
    class Params:
        count: I32 = note("values summed for an output")
        inner: I32 = note("values of the input between two of them; outputs a row")
        in_zero: I32 = note("zero point of the input")
        multiplier: I32 = note("Q31, the division by count in it")
        shift: I32 = note("power of two applied with the multiplier")
        out_zero: I32 = note("zero point of the output")

    @rule
    def axes_are_constant(self, call: Call) -> str | None:
        """The axes must be constant int32 and within the input's dimensions."""
        axes, rank = call.input(1), len(call.x.shape)
        if axes.data is None or axes.dtype != np.int32:
            return f"{axes.name!r} is {'computed at run time' if axes.data is None else axes.dtype}"
        out = [int(a) for a in axes.data.reshape(-1) if not -rank <= a < rank]
        return f"axis {out[0]} of {rank} dimensions" if out or not axes.size else None

    @rule
    def axes_are_neighbours(self, call: Call) -> str | None:
        """The reduced dimensions must lie next to each other (dimensions of size 1 do not count)."""
        axes = [a for a in self.axes(call) if call.x.shape[a] > 1]
        between = [d for d in range(min(axes), max(axes)) if d not in axes and call.x.shape[d] > 1] if axes else []
        return f"axes {axes} of shape {list(call.x.shape)}" if between else None

    @rule
    def sums_fit(self, call: Call) -> str | None:
        """At most 2^23 values may be averaged, so that the sum fits 32 bits."""
        return None if self.split(call)[1] <= 2**23 else f"{self.split(call)[1]}"

    @rule
    def factor_fits(self, call: Call) -> str | None:
        """The input scale must be below 2^30 output scales."""
        return factor_problem(call.x.scale / call.y.scale)

    def axes(self, call: Call) -> list[int]:
        data = call.input(1).data
        assert data is not None
        return sorted({int(a) % len(call.x.shape) for a in data.reshape(-1)})

    def split(self, call: Call) -> tuple[int, int, int]:
        """The input seen as [outer, count, inner], of which `count` is reduced."""
        shape, axes = call.x.shape, [a for a in self.axes(call) if call.x.shape[a] > 1]
        if not axes:
            return math.prod(shape), 1, 1
        inner = math.prod(shape[max(axes) + 1 :])
        count = math.prod(shape[a] for a in axes)
        return math.prod(shape) // (inner * count), count, inner

    def output_shape(self, call: Call) -> Shape:
        axes = self.axes(call)
        if call.attrs.keep_dims:
            return tuple(1 if i in axes else d for i, d in enumerate(call.x.shape))
        return tuple(d for i, d in enumerate(call.x.shape) if i not in axes)

    def scale(self, call: Call) -> tuple[int, int]:
        """(multiplier, shift) with 1/count in them, truncated as TFLite does it."""
        multiplier, shift = fixed.quantize_multiplier(call.x.scale / call.y.scale)
        count = self.split(call)[1]
        room = min(count.bit_length() - 1, 32, 31 + shift)
        return (multiplier << room) // count, shift - room

    def rows(self, call: Call, tensor: Tensor) -> tuple[int, int]:
        outer, count, inner = self.split(call)
        return (outer, inner) if tensor is call.y else (outer, count * inner)

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def separation(self, call: Call, index: int) -> int | None:
        return 0  # an output takes the place of a value summed for it or for an earlier one

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        x, (_, count, _), (multiplier, shift) = inputs[0], self.split(call), self.scale(call)
        if x is None:
            return Interval.whole(call.y)
        low, high = count * (x.low - call.x.zero_point), count * (x.high - call.x.zero_point)
        if not self.keeps_channels(call):
            channels = len(x.low)
            low, high = (np.full(channel_count(call.y.shape), e.sum() // channels) for e in (low, high))
        if not in_order(low, high, shift).all():
            return Interval.whole(call.y)
        low, high = (fixed.requantize(e, multiplier, shift) + call.y.zero_point for e in (low, high))
        return Interval(np.clip(low, -128, 127), np.clip(high, -128, 127))

    def channel_sources(self, call: Call, index: int) -> Array | None:
        return np.arange(call.y.shape[-1]) if self.keeps_channels(call) else None

    def keeps_channels(self, call: Call) -> bool:
        return len(call.x.shape) - 1 not in self.axes(call)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        sums = inputs[0].astype(np.int64).reshape(self.split(call)).sum(axis=1)
        count = self.split(call)[1]
        out = fixed.requantize(sums - call.x.zero_point * count, *self.scale(call)) + call.y.zero_point
        return np.clip(out, -128, 127).astype(np.int8).reshape(call.y.shape)

    def params(self, call: Call) -> Any:
        _, count, inner = self.split(call)
        return self.Params(count, inner, call.x.zero_point, *self.scale(call), call.y.zero_point)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            rank = int(rng.integers(1, 5))
            shape = random_shape(rng, rank, int(rng.choice([7, 7, 30])))
            first = int(rng.integers(0, rank))
            axes = np.arange(first, int(rng.integers(first, rank)) + 1).astype(np.int32)
            axes = np.where(rng.random(axes.shape) < 0.3, axes - rank, axes).astype(np.int32)
            x = quantized(rng, "x", shape)
            # Under one scale, means often lie exactly between two outputs.
            y = quantized(rng, "y", (1,), scale=x.scale * (1 if rng.random() < 0.4 else random_ratio(rng)))
            axis = Tensor("axis", axes.shape, axes.dtype, None, axes)
            graph = single(self, self.Attrs(keep_dims=bool(rng.random() < 0.5)), [x, axis], y)
            if graph is not None:
                yield graph
