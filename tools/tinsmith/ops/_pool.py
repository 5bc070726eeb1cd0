"""What both poolings share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph
from ._examples import ACTIVATIONS, quantized, random_shape, single
from ._interval import Interval
from ._quantized import FusedActivation, clamp_limits, clamped
from ._window import Axis, Windowed, patches
from .base import Call, internal, rule
from .params import I8, I16, note
from .tensors import Shape, flat


@dataclass(frozen=True)
class PoolAttrs:
    padding: str = "SAME"
    stride_w: int = 1
    stride_h: int = 1
    filter_width: int = 1
    filter_height: int = 1
    fused_activation_function: str = "NONE"
    pads: tuple[tuple[int, int], tuple[int, int]] | None = internal(None)
    clamp: tuple[int, int] | None = internal(None)


@dataclass(frozen=True)
class PoolParams:
    in_h: I16 = note("input rows")
    in_w: I16 = note("input columns")
    channels: I16 = note("channels")
    out_w: I16 = note("output columns")
    kernel_h: I16 = note("rows of the window")
    kernel_w: I16 = note("columns of the window")
    stride_h: I16 = note("rows between outputs")
    stride_w: I16 = note("columns between outputs")
    pad_top: I16 = note("rows of padding above")
    pad_left: I16 = note("columns of padding to the left")
    low: I8 = note("least output")
    high: I8 = note("greatest output")


class Pool(Windowed, FusedActivation):
    """Base of the poolings: windows that only count what lies inside the image."""

    Attrs: ClassVar[Any] = PoolAttrs
    Params: ClassVar[type | None] = PoolParams

    def kernel_size(self, call: Call) -> tuple[int, int]:
        return call.attrs.filter_height, call.attrs.filter_width

    @rule
    def scales_are_equal(self, call: Call) -> str | None:
        """Input and output must have the same scale (within 1e-6) and zero point."""
        off = abs(call.x.scale - call.y.scale)
        if off <= 1e-6 and call.x.zero_point == call.y.zero_point:
            return None
        return f"scales {call.x.scale} and {call.y.scale}, zero points {call.x.zero_point} and {call.y.zero_point}"

    @rule
    def window_is_not_far_larger_than_the_image(self, call: Call) -> str | None:
        """The window must hold at most 2^23 pixels, so that sums fit 32 bits."""
        height, width = self.kernel_size(call)
        return None if height * width <= 2**23 else f"{height} x {width}"

    def output_shape(self, call: Call) -> Shape:
        window = self.window(call)
        return 1, window.y.out, window.x.out, call.x.shape[3]

    def effort(self, call: Call) -> int:
        height, width = self.kernel_size(call)
        return 13 * flat(call.y) * height * width

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        x, window = inputs[0], self.window(call)
        # A mean or maximum of values lies between the least and the greatest, unless a window holds none.
        if x is None or not (axis_is_covered(window.y) and axis_is_covered(window.x)):
            return Interval.whole(call.y)
        low, high = clamped(call, x.low), clamped(call, x.high)
        return Interval(low.astype(np.int64), high.astype(np.int64))

    def channel_sources(self, call: Call, index: int) -> Array | None:
        return np.arange(call.y.shape[3])

    def windows(self, call: Call, x: Array) -> tuple[Array, Array]:
        """(values, inside) of all windows [out_y, out_x, kernel_y, kernel_x, c]; inside is 1 in the image, else 0."""
        window = self.window(call)
        ones = np.ones((*call.x.shape[1:3], 1), np.int64)
        return patches(x[0], window, 0), patches(ones, window, 0)

    def params(self, call: Call) -> Any:
        window, (low, high) = self.window(call), clamp_limits(call)
        return PoolParams(
            window.y.size, window.x.size, call.x.shape[3], window.x.out, window.y.kernel, window.x.kernel,
            window.y.stride, window.x.stride, window.y.before, window.x.before, low, high,
        )  # fmt: skip

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            h, w, c = random_shape(rng, 3, 11)
            attrs = PoolAttrs(
                padding=str(rng.choice(["SAME", "VALID"])), stride_w=int(rng.integers(1, 5)),
                stride_h=int(rng.integers(1, 5)), filter_width=int(rng.integers(1, 9)),
                filter_height=int(rng.integers(1, 9)), fused_activation_function=str(rng.choice(ACTIVATIONS)),
            )  # fmt: skip
            x = quantized(rng, "x", (1, h, w, c))
            graph = single(self, attrs, [x], replace(x, name="y"))
            if graph is not None:
                yield graph


def axis_is_covered(axis: Axis) -> bool:
    """Whether every window holds pixels of the image."""
    return axis.kernel > axis.before and (axis.out - 1) * axis.stride - axis.before < axis.size
