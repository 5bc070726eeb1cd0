"""DEPTHWISE_CONV_2D: every input channel convolved on its own, int8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph
from ._conv import ConvAttrs, Convolution, random_geometry
from ._examples import example, quantized, random_shape
from ._taps import Taps, inside
from ._weighted import random_weights
from ._window import patches
from .base import Call, rule


class DepthwiseConv2D(Convolution):
    """Convolves each channel of an NHWC image with one or several kernels of its own, weights
    [1, kernel_h, kernel_w, out]."""

    name = "DEPTHWISE_CONV_2D"
    max_version = 7
    channel_axis = 3

    @dataclass(frozen=True)
    class Attrs(ConvAttrs):
        depth_multiplier: int = 1

    @rule
    def weights_fit_the_input(self, call: Call) -> str | None:
        """Weights must be [1, kernel_h, kernel_w, channels] with a whole multiple of the input's channels."""
        w, x = call.input(1).shape, call.x.shape
        return None if w[0] == 1 and w[3] % x[3] == 0 else f"weights {list(w)} for input {list(x)}"

    def effort(self, call: Call) -> int:
        return 37 * self.macs(call)

    def macs(self, call: Call) -> int:
        kernel_h, kernel_w = self.kernel_size(call)
        return call.y.size * kernel_h * kernel_w

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        x, w, b = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
        assert x is not None and w is not None
        repeated = np.repeat(x[0], w.shape[3] // x.shape[3], axis=2)
        columns = patches(repeated, self.window(call), call.x.zero_point)
        sums = np.einsum("abijc,ijc->abc", columns, w[0].astype(np.int64))
        return self.requantized(call, self.accumulators(call, sums, b)).reshape(call.y.shape)

    def taps(self, call: Call) -> Taps:
        weights = call.input(1).data
        assert weights is not None
        _, kernel_h, kernel_w, out_c = weights.shape
        by_tap = weights.reshape(kernel_h * kernel_w, out_c).T[:, :, None]
        source = np.arange(out_c) // (out_c // call.x.shape[3])
        return Taps(by_tap, *inside(self.window(call)), source)

    def cut_weights(self, call: Call, kept_in: Array, kept_out: Array) -> Array:
        weights = call.input(1).data
        assert weights is not None
        return np.ascontiguousarray(weights[..., kept_out])

    def fitted_attrs(self, call: Call) -> Any:
        return replace(call.attrs, depth_multiplier=call.input(1).shape[3] // call.x.shape[3])

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            (h, w), (in_c,) = random_shape(rng, 2, 11), random_shape(rng, 1, int(rng.choice([4, 11, 40])))
            kernel_h, kernel_w = random_shape(rng, 2, 5)
            multiplier = int(rng.choice([1, 1, 1, 2, 3]))
            x = quantized(rng, "x", (1, h, w, in_c))
            weights = random_weights(rng, (1, kernel_h, kernel_w, in_c * multiplier))
            attrs = self.Attrs(**random_geometry(rng), depth_multiplier=multiplier)
            graph = example(self, rng, x, weights, attrs, per_channel=bool(rng.random() < 0.8), axis=3)
            if graph is not None:
                yield graph
