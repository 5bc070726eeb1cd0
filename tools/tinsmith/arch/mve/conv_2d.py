"""CONV_2D for cores with integer vectors: three pixels times two channels, sixteen taps at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ops._conv import ConvParams
from ...ops._weighted import folded_bias
from ...ops.base import Call
from ...ops.conv_2d import Conv2D
from ...ops.params import I8, I16, I32, I8s, I32s, note
from ._scales import channel_scales, ignores_negative

PIXELS = 3


class Conv2DMve(Conv2D):
    """Multiplies the windows of three pixels with the weights of two channels, sixteen taps an instruction. Windows of
    one row of taps inside the image stay where they are; others are copied to scratch."""

    arch = "mve"
    pixels = 32
    extra_sources = ("arch/mve/matrix.S",)

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[out_c][taps]")
        scales: I32s = note("[pairs][6]: biases with the input offset folded in; multiplier, shift; multiplier, shift")
        taps: I32 = note("bytes of a window")
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
        direct: I8 = note("1: windows are one row of taps inside the image")
        relu: I8 = note("1: nothing below the zero point matters, and no shift is positive")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """Layers of two channels and more."""
        return super().suits(call) and self.channels(call) > 1

    def is_direct(self, call: Call) -> bool:
        """Whether windows are bytes that lie one behind the other in the input."""
        window = self.window(call)
        neighbours = window.y.kernel == 1 and (window.x.kernel == 1 or window.x.dilation == 1)
        return neighbours and not window.reaches_out

    def separation(self, call: Call, index: int) -> int | None:
        below = super().separation(call, index)
        if below is None or not self.is_direct(call):
            return below
        # A block's channels are written one by one while its windows are still read.
        window, (_, _, in_w, in_c), out_c = self.window(call), call.x.shape, call.y.shape[3]
        columns, rows = (np.arange(a.out) * a.stride - a.before for a in (window.x, window.y))
        first_read = (rows[:, None] * in_w + columns[None, :]).reshape(-1) * in_c
        written = np.minimum(np.arange(len(first_read)) + PIXELS, len(first_read)) * out_c
        return max(below, int((written - first_read).max()))

    def scratch_bytes(self, call: Call) -> int:
        """The windows of a block."""
        return 0 if self.is_direct(call) else PIXELS * (call.input(1).size // self.channels(call))

    def params(self, call: Call) -> Params:
        base: ConvParams = super().params(call)
        bias, multiplier, shift = folded_bias(self, call), *channel_scales(self, call)
        # An odd last channel is the second of a pair with the one before it.
        first = np.minimum(np.arange(0, len(bias), 2), len(bias) - 2)
        columns = ((bias, 0), (bias, 1), (multiplier, 0), (shift, 0), (multiplier, 1), (shift, 1))
        scales = np.stack([a[first + i] for a, i in columns], axis=1)
        return self.Params(
            base.weights.reshape(-1), scales.reshape(-1), base.weights[0].size,
            base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            int(self.is_direct(call)), int(ignores_negative(self, call)), base.pad_value,
            base.low, base.high, base.out_zero,
        )  # fmt: skip
