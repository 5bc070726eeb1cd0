"""DEPTHWISE_CONV_2D for cores with integer vectors: sixteen channels at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...graph import Array
from ...ops._conv import ConvParams
from ...ops.base import Call
from ...ops.depthwise_conv_2d import DepthwiseConv2D
from ...ops.params import I8, I16, I32, I8s, I32s, note
from ._scales import channel_scales, ignores_negative

LANES = 16
TILE_BYTES = 800  # of scratch, if a pixel's window is not larger
MOST_TILE_BYTES = 1 << 14
MOST_PAIR = 255  # the greatest sum of two weights' magnitudes that times 128 fits 16 bits


class DepthwiseConv2DMve(DepthwiseConv2D):
    """Copies what the windows of a few pixels see of sixteen channels to scratch, and computes those channels at
    once."""

    arch = "mve"
    pixels = 32
    extra_sources = ("arch/mve/depthwise_nine.S",)

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[groups][taps][16]")
        bias: I32s = note("[groups][4][4] in the order of sums, input offset folded in")
        multiplier: I32s = note("[groups][4][4], Q31")
        shift: I8s = note("[groups][4][4], power of two applied with the multiplier")
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
        tile_out: I16 = note("pixels that share a copy")
        tile_w: I16 = note("columns of a copy")
        nine: I8 = note("1: windows are three by three neighbours, and no shift is positive")
        relu: I8 = note("1: nothing below the zero point matters, and no shift is positive")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """Layers whose pairs of neighbouring weights are not both -128, and whose windows are not huge."""
        w = self.by_tap(call).astype(np.int64)
        pairs = [np.abs(w[:-1]) + np.abs(w[1:])] if len(w) > 1 else []
        return not any((p > MOST_PAIR).any() for p in pairs) and self.scratch_bytes(call) <= MOST_TILE_BYTES

    def by_tap(self, call: Call) -> Array:
        """The weights as [taps, channels]."""
        weights = call.input(1).data
        assert weights is not None
        return weights.reshape(-1, weights.shape[3])

    def tile(self, call: Call) -> tuple[int, int]:
        """(output pixels, input columns) of a copy."""
        window = self.window(call)
        x, extent = window.x, (window.x.kernel - 1) * window.x.dilation + 1
        columns = TILE_BYTES // (window.y.kernel * LANES)
        pixels = min(max((columns - extent) // x.stride + 1, 1), x.out)
        return pixels, (pixels - 1) * x.stride + extent

    def scratch_bytes(self, call: Call) -> int:
        return self.window(call).y.kernel * self.tile(call)[1] * LANES

    def params(self, call: Call) -> Params:
        base: ConvParams = super().params(call)
        weights = in_groups(self.by_tap(call)).transpose(1, 0, 2)
        bias, multiplier, shift = (in_sums_order(a) for a in (base.bias, *channel_scales(self, call)))
        nine = (base.kernel_h, base.kernel_w, base.dilation_w) == (3, 3, 1) and (shift <= 0).all()
        return self.Params(
            np.ascontiguousarray(weights).reshape(-1), bias, multiplier, shift.astype(np.int8),
            base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            *self.tile(call), int(nine), int(ignores_negative(self, call)), base.pad_value,
            base.low, base.high, base.out_zero,
        )  # fmt: skip


def in_groups(array: Array) -> Array:
    """[any, channels] as [any, groups, 16], filled up with zeros."""
    padded = np.pad(array, ((0, 0), (0, -array.shape[1] % LANES)))
    return padded.reshape(len(array), -1, LANES)


def in_sums_order(values: Array) -> Array:
    """[channels] as [groups][4][4]: even lanes, even ones of them first, then odd ones."""
    lanes = np.array([4 * i + k for k in (0, 2, 1, 3) for i in range(4)])
    return np.ascontiguousarray(in_groups(values[None, :])[0][:, lanes]).reshape(-1)
