"""ADD: element by element with broadcasting, int8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from .. import fixed
from ..graph import Array, Graph
from ._examples import ACTIVATIONS, quantized, random_ratio, random_shape, single
from ._interval import Interval, channel_count
from ._quantized import FusedActivation, centred, clamp_limits, clamped
from .base import Call, internal, rule
from .params import I8, I32, note
from .tensors import Shape, nhwc

LEFT_SHIFT = 20  # headroom given to both inputs before they are scaled (add_common.cc)


class Add(FusedActivation):
    """Brings two tensors to a common scale with 20 bits of headroom, adds, requantizes, clamps."""

    name = "ADD"
    onnx = ("Add", "QLinearAdd")
    max_version = 5
    runtime_arity = 2
    arity = (2, 2)

    @dataclass(frozen=True)
    class Attrs:
        fused_activation_function: str = "NONE"
        pot_scale_int16: bool = True
        clamp: tuple[int, int] | None = internal(None)

    @dataclass(frozen=True)
    class Params:
        outer: I32 = note("steps of the outer loop in a row")
        inner: I32 = note("steps of the inner loop")
        a_outer: I32 = note("elements of input 0 an outer step")
        a_inner: I32 = note("elements of input 0 an inner step")
        b_outer: I32 = note("elements of input 1 an outer step")
        b_inner: I32 = note("elements of input 1 an inner step")
        a_zero: I32 = note("zero point of input 0")
        b_zero: I32 = note("zero point of input 1")
        a_multiplier: I32 = note("scale of input 0, Q31")
        b_multiplier: I32 = note("scale of input 1, Q31")
        out_multiplier: I32 = note("scale of the output, Q31")
        out_zero: I32 = note("zero point of the output")
        a_shift: I8 = note("power of two of input 0, not positive")
        b_shift: I8 = note("power of two of input 1, not positive")
        out_shift: I8 = note("power of two of the output, not positive")
        low: I8 = note("least output")
        high: I8 = note("greatest output")

    @rule
    def shapes_broadcast(self, call: Call) -> str | None:
        """Inputs must have at most four dimensions, equal or 1, and a batch of 1 wherever they differ."""
        a, b = call.input(0).shape, call.input(1).shape
        if max(len(a), len(b)) <= 4:
            pairs = list(zip(nhwc(a), nhwc(b), strict=True))
            if all(p == q or 1 in (p, q) for p, q in pairs) and (a == b or pairs[0] == (1, 1)):
                return None
        return f"{list(a)} and {list(b)}"

    @rule
    def output_scale_is_not_tiny(self, call: Call) -> str | None:
        """Twice the larger input scale must be below 2^20 output scales, or the output would need a left shift."""
        ratio = 2 * max(call.input(0).scale, call.input(1).scale) / call.y.scale
        return None if ratio < 2**LEFT_SHIFT else f"{ratio:.4g}"

    def runtime_inputs(self, call: Call) -> tuple[int, ...]:
        return (0, 1)

    def output_shape(self, call: Call) -> Shape:
        return tuple(np.broadcast_shapes(call.input(0).shape, call.input(1).shape))

    def effort(self, call: Call) -> int:
        return 96 * call.y.size

    def separation(self, call: Call, index: int) -> int | None:
        # Element i of the output is written after element i of an equal input was last read.
        return 0 if call.input(index).shape == call.y.shape else None

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row if self.rows(call, call.input(index))[0] > 1 else 0

    def scales(self, call: Call) -> list[tuple[int, int]]:
        """(multiplier, shift) of input 0, input 1 and the output."""
        a, b, y = call.input(0).scale, call.input(1).scale, call.y.scale
        twice = 2 * max(a, b)
        return [fixed.quantize_multiplier(r) for r in (a / twice, b / twice, twice / (2**LEFT_SHIFT * y))]

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        a, b = inputs
        if a is None or b is None:
            return Interval.whole(call.y)
        # Greater inputs never give a smaller output, and nothing wraps: both inputs are scaled down.
        low, high = (
            self.reference(call, [x.astype(np.int8), y.astype(np.int8)]) for x, y in ((a.low, b.low), (a.high, b.high))
        )
        return Interval(low.astype(np.int64), high.astype(np.int64))

    def channel_sources(self, call: Call, index: int) -> Array | None:
        count, own = channel_count(call.y.shape), channel_count(call.input(index).shape)
        return np.arange(count) if own == count else np.full(count, -1)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        scales = self.scales(call)
        total: Array = np.zeros(1, np.int64)
        for index in (0, 1):
            x = inputs[index]
            assert x is not None
            total = total + fixed.requantize(centred(x, call.input(index)) << LEFT_SHIFT, *scales[index])
        return clamped(call, fixed.requantize(total, *scales[2]) + call.y.zero_point)

    def params(self, call: Call) -> Any:
        (am, ash), (bm, bsh), (om, osh) = self.scales(call)
        low, high = clamp_limits(call)
        steps = loop_steps(call)
        return self.Params(
            *steps, call.input(0).zero_point, call.input(1).zero_point, am, bm, om, call.y.zero_point,
            ash, bsh, osh, low, high,
        )  # fmt: skip

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            shape = random_shape(rng, int(rng.integers(1, 5)), 6)
            other = shape
            if rng.random() < 0.6:
                other = tuple(d if rng.random() < 0.6 else 1 for d in shape)[int(rng.integers(0, len(shape))) :]
                shape = tuple(d if rng.random() < 0.8 else 1 for d in shape)
            a = quantized(rng, "a", shape)
            b = quantized(rng, "b", other, scale=a.scale * random_ratio(rng))
            y = quantized(rng, "y", (1,), scale=max(a.scale, b.scale) * random_ratio(rng))
            if rng.random() < 0.3:
                b = replace(b, data=rng.integers(-128, 128, other).astype(np.int8))
            attrs = self.Attrs(fused_activation_function=str(rng.choice(ACTIVATIONS)))
            graph = single(self, attrs, [b, a] if rng.random() < 0.3 else [a, b], y)
            if graph is not None:
                yield graph


def loop_steps(call: Call) -> tuple[int, int, int, int, int, int]:
    """(outer, inner, a_outer, a_inner, b_outer, b_inner) of the loops over columns and channels of a row.

    Where neither input is broadcast along one of them, the two loops are one.
    """
    _, _, w, c = nhwc(call.y.shape)
    strides = []
    for t in (call.input(0), call.input(1)):
        _, _, tw, tc = nhwc(t.shape)
        strides.append((tc if tw > 1 else 0, 1 if tc > 1 else 0))
    (ao, ai), (bo, bi) = strides
    if w == 1:
        return 1, c, 0, ai, 0, bi
    if c == 1:
        return 1, w, 0, ao, 0, bo
    if all(outer == inner * c for outer, inner in strides):
        return 1, w * c, 0, ai, 0, bi
    return w, c, ao, ai, bo, bi
