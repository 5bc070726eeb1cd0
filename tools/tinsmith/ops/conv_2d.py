"""CONV_2D: two-dimensional convolution, int8."""

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


class Conv2D(Windowed, Weighted):
    """Convolves an NHWC image with weights [out, kernel_h, kernel_w, in], adds a bias, requantizes a
    channel, clamps."""

    name = "CONV_2D"
    onnx = ("Conv", "QLinearConv")
    max_version = 6

    @dataclass(frozen=True)
    class Attrs:
        padding: str = "SAME"
        stride_w: int = 1
        stride_h: int = 1
        fused_activation_function: str = "NONE"
        dilation_w_factor: int = 1
        dilation_h_factor: int = 1
        pads: tuple[tuple[int, int], tuple[int, int]] | None = None
        clamp: tuple[int, int] | None = None
        offset_folded: bool = False

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[out_c][kernel_h][kernel_w][in_c]")
        bias: I32s = note("[out_c], input offset folded in")
        multiplier: I32s = note("[out_c], Q31")
        shift: I8s = note("[out_c], power of two applied with the multiplier")
        in_h: I16 = note("input rows")
        in_w: I16 = note("input columns")
        in_c: I16 = note("input channels")
        out_w: I16 = note("output columns")
        out_c: I16 = note("output channels")
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
        """Weights must be [out, kernel_h, kernel_w, in] with as many input channels as the image."""
        w, x = call.input(1).shape, call.x.shape
        if len(w) == 4 and len(x) == 4 and w[3] == x[3]:
            return None
        return f"weights {list(w)} for input {list(x)}"

    def output_shape(self, call: Call) -> Shape:
        window = self.window(call)
        return 1, window.y.out, window.x.out, self.channels(call)

    def macs(self, call: Call) -> int:
        return call.y.size * call.input(1).size // self.channels(call)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        x, w, b = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
        assert x is not None and w is not None
        columns = patches(x[0], self.window(call), call.x.zero_point)
        # Exact in float64: every partial sum is an integer far below 2^53.
        flat = columns.reshape(-1, w[0].size).astype(np.float64) @ w.reshape(len(w), -1).T.astype(np.float64)
        acc = self.accumulators(call, flat.astype(np.int64), b)
        return self.requantized(call, acc).reshape(call.y.shape)

    def params(self, call: Call) -> Params:
        window, (low, high) = self.window(call), clamp_limits(call)
        multiplier, shift = np.array(self.multipliers(call), np.int64).T
        weights = call.input(1).data
        assert weights is not None
        return self.Params(
            weights, folded_bias(self, call), multiplier.astype(np.int32), shift.astype(np.int8),
            window.y.size, window.x.size, call.x.shape[3], window.x.out, call.y.shape[3],
            window.y.kernel, window.x.kernel, window.y.stride, window.x.stride,
            window.y.dilation, window.x.dilation, window.y.before, window.x.before,
            call.x.zero_point, low, high, call.y.zero_point,
        )  # fmt: skip

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            h, w = rng.integers(1, 12, 2)
            in_c, out_c = rng.integers(1, 10, 2)
            kh, kw = rng.integers(1, 5, 2)
            attrs = self.Attrs(
                padding=str(rng.choice(["SAME", "VALID"])), stride_w=int(rng.integers(1, 4)),
                stride_h=int(rng.integers(1, 4)), fused_activation_function=str(rng.choice(["NONE", "RELU", "RELU6"])),
                dilation_w_factor=int(rng.integers(1, 3)), dilation_h_factor=int(rng.integers(1, 3)),
            )  # fmt: skip
            x = quantized(rng, "x", (1, h, w, in_c))
            weights = random_weights(rng, (out_c, kh, kw, in_c))
            graph = example(self, rng, x, weights, attrs, per_channel=bool(rng.random() < 0.8))
            if graph is not None:
                yield graph
