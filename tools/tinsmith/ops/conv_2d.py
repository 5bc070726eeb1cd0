"""CONV_2D: two-dimensional convolution, int8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph
from ._conv import ConvAttrs, Convolution, ConvParams, random_geometry
from ._examples import example, quantized, random_shape
from ._taps import Taps, inside
from ._weighted import random_weights
from ._window import patches
from .base import Call, internal, rule
from .params import I16, note
from .tensors import Shape


class Conv2D(Convolution):
    """Convolves an NHWC image with weights [out, kernel_h, kernel_w, in], adds a bias, requantizes
    each channel by its own scale, clamps. Image rows may be computed in equal parts, each a row of the output:
    the same bytes in the same order."""

    name = "CONV_2D"
    max_version = 8

    @dataclass(frozen=True)
    class Attrs(ConvAttrs):
        row_parts: int = internal(1)

    @dataclass(frozen=True)
    class Params(ConvParams):
        row_parts: I16 = note("rows of the output that are one image row")

    def suits(self, call: Call) -> bool:
        """A kernel for an instruction set computes image rows as a whole, unless it says otherwise."""
        return not self.arch or call.attrs.row_parts == 1

    @rule
    def weights_fit_the_input(self, call: Call) -> str | None:
        """Weights must be [out, kernel_h, kernel_w, in] with as many input channels as the image."""
        w, x = call.input(1).shape, call.x.shape
        return None if w[3] == x[3] else f"weights {list(w)} for input {list(x)}"

    @rule
    def parts_are_equal(self, call: Call) -> str | None:
        """Parts of an image row must be whole pixels, as many in each."""
        parts, width = call.attrs.row_parts, self.window(call).x.out
        return None if width % parts == 0 else f"{parts} parts of {width} pixels"

    def output_shape(self, call: Call) -> Shape:
        _, height, width, channels = super().output_shape(call)
        return 1, height * call.attrs.row_parts, width // call.attrs.row_parts, channels

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return super().first_input_row(call, index, row // call.attrs.row_parts)

    def last_input_row(self, call: Call, index: int, row: int) -> int:
        return super().last_input_row(call, index, row // call.attrs.row_parts)

    def params(self, call: Call) -> Any:
        return Conv2D.Params(**vars(super().params(call)), row_parts=call.attrs.row_parts)

    def macs(self, call: Call) -> int:
        return call.y.size * call.input(1).size // self.channels(call)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        x, w, b = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
        assert x is not None and w is not None
        columns = patches(x[0], self.window(call), call.x.zero_point)
        # Exact in float64: every partial sum is an integer far below 2^53.
        sums = columns.reshape(-1, w[0].size).astype(np.float64) @ w.reshape(len(w), -1).T.astype(np.float64)
        return self.requantized(call, self.accumulators(call, sums.astype(np.int64), b)).reshape(call.y.shape)

    def taps(self, call: Call) -> Taps:
        weights = call.input(1).data
        assert weights is not None
        out_c, kernel_h, kernel_w, in_c = weights.shape
        return Taps(weights.reshape(out_c, kernel_h * kernel_w, in_c), *inside(self.window(call)))

    def cut_weights(self, call: Call, kept_in: Array, kept_out: Array) -> Array:
        weights = call.input(1).data
        assert weights is not None
        return np.ascontiguousarray(weights[kept_out][..., kept_in])

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            (h, w), (in_c, out_c) = random_shape(rng, 2, 11), random_shape(rng, 2, int(rng.choice([4, 11, 40])))
            kernel_h, kernel_w = random_shape(rng, 2, 5)
            x = quantized(rng, "x", (1, h, w, in_c))
            weights = random_weights(rng, (out_c, kernel_h, kernel_w, in_c))
            attrs = self.Attrs(**random_geometry(rng))
            graph = example(self, rng, x, weights, attrs, per_channel=bool(rng.random() < 0.8))
            if graph is not None:
                yield graph
