"""DEPTHWISE_CONV_2D: every input channel convolved on its own, int8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph
from ._examples import example, quantized
from ._quantized import clamp_limits
from ._weighted import Weighted, folded_bias, random_weights
from ._window import Windowed, patches
from .base import I8, I16, I32, Call, I8s, I32s, Shape, note, rule


class DepthwiseConv2D(Windowed, Weighted):
    """Convolves each channel of an NHWC image with `multiplier` kernels of its own, weights
    [1, kernel_h, kernel_w, in * multiplier]."""

    name = "DEPTHWISE_CONV_2D"
    onnx = ("Conv", "QLinearConv")
    max_version = 6
    channel_axis = 3

    @dataclass(frozen=True)
    class Attrs:
        padding: str = "SAME"
        stride_w: int = 1
        stride_h: int = 1
        depth_multiplier: int = 1
        fused_activation_function: str = "NONE"
        dilation_w_factor: int = 1
        dilation_h_factor: int = 1
        pads: tuple[tuple[int, int], tuple[int, int]] | None = None
        clamp: tuple[int, int] | None = None
        offset_folded: bool = False

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[kernel_h][kernel_w][out_c]")
        bias: I32s = note("[out_c], input offset folded in")
        multiplier: I32s = note("[out_c], Q31")
        shift: I8s = note("[out_c], power of two applied with the multiplier")
        in_h: I16 = note("input rows")
        in_w: I16 = note("input columns")
        in_c: I16 = note("input channels")
        out_w: I16 = note("output columns")
        depth_multiplier: I16 = note("output channels an input channel")
        kernel_h: I16 = note("rows of the kernel")
        kernel_w: I16 = note("columns of the kernel")
        stride_h: I16 = note("rows between outputs")
        stride_w: I16 = note("columns between outputs")
        dilation_h: I16 = note("rows between taps")
        dilation_w: I16 = note("columns between taps")
        pad_top: I16 = note("rows of padding above")
        pad_left: I16 = note("columns of padding to the left")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def kernel_size(self, call: Call) -> tuple[int, int]:
        return call.input(1).shape[1], call.input(1).shape[2]

    def dilation(self, call: Call) -> tuple[int, int]:
        return call.attrs.dilation_h_factor, call.attrs.dilation_w_factor

    @rule
    def weights_fit_the_input(self, call: Call) -> str | None:
        """Weights must be [1, kernel_h, kernel_w, channels] with a whole multiple of the input's channels."""
        w, x = call.input(1).shape, call.x.shape
        return None if w[0] == 1 and w[3] % x[3] == 0 else f"weights {list(w)} for input {list(x)}"

    def output_shape(self, call: Call) -> Shape:
        window = self.window(call)
        return 1, window.y.out, window.x.out, self.channels(call)

    def macs(self, call: Call) -> int:
        kernel_h, kernel_w = self.kernel_size(call)
        return call.y.size * kernel_h * kernel_w

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        x, w, b = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
        assert x is not None and w is not None
        repeated = np.repeat(x[0], w.shape[3] // x.shape[3], axis=2)
        sums = np.einsum("abijc,ijc->abc", patches(repeated, self.window(call), call.x.zero_point), w[0].astype(np.int64))
        return self.requantized(call, self.accumulators(call, sums, b)).reshape(call.y.shape)

    def params(self, call: Call) -> Params:
        window, (low, high) = self.window(call), clamp_limits(call)
        multiplier, shift = np.array(self.multipliers(call), np.int64).T
        weights = call.input(1).data
        assert weights is not None
        return self.Params(
            weights, folded_bias(self, call), multiplier.astype(np.int32), shift.astype(np.int8),
            window.y.size, window.x.size, call.x.shape[3], window.x.out, call.y.shape[3] // call.x.shape[3],
            window.y.kernel, window.x.kernel, window.y.stride, window.x.stride,
            window.y.dilation, window.x.dilation, window.y.before, window.x.before,
            call.x.zero_point, low, high, call.y.zero_point,
        )  # fmt: skip

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            h, w = rng.integers(1, 12, 2)
            in_c, multiplier = int(rng.integers(1, 10)), int(rng.choice([1, 1, 1, 2, 3]))
            kh, kw = rng.integers(1, 5, 2)
            attrs = self.Attrs(
                padding=str(rng.choice(["SAME", "VALID"])), stride_w=int(rng.integers(1, 4)),
                stride_h=int(rng.integers(1, 4)), depth_multiplier=multiplier,
                fused_activation_function=str(rng.choice(["NONE", "RELU", "RELU6"])),
                dilation_w_factor=int(rng.integers(1, 3)), dilation_h_factor=int(rng.integers(1, 3)),
            )  # fmt: skip
            x = quantized(rng, "x", (1, h, w, in_c))
            weights = random_weights(rng, (1, kh, kw, in_c * multiplier))
            graph = example(self, rng, x, weights, attrs, per_channel=bool(rng.random() < 0.8), axis=3)
            if graph is not None:
                yield graph
