"""DEPTHWISE_CONV_2D for ARMv6-M."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ops._window import Axis
from ...ops.base import Call
from ...ops.depthwise_conv_2d import DepthwiseConv2D
from ...ops.params import I8, I16, I32, U8, I8s, I32s, note
from ._pack import OFFSET
from ._scales import scales

TAPS = 3  # the longest side of a window
STREAM_BYTES = 4 * 3 * 64  # of scratch: four channels, three orders of their lines
COLUMN_BYTES = 16  # of scratch, a pixel along a line
LINE_COST, OUTPUT_COST = 60, 44  # instructions, about


class DepthwiseConv2DThumb1(DepthwiseConv2D):
    """Windows of up to 3x3 pixels, strides 1 and 2. Four channels at a time walk over the whole image along its longer
    side."""

    arch = "thumb1"
    pixels = 32
    extra_sources = ("arch/thumb1/depthwise_lines.S",)

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[in_c][taps across lines][taps along a line], 3x3, filled up with zeros")
        scales: I32s = note("a record for each channel, then constants of channels that need their own")
        in_h: I16 = note("input rows")
        in_w: I16 = note("input columns")
        in_c: I16 = note("channels of input and output")
        out_w: I16 = note("output columns")
        stride_along: I16 = note("pixels between outputs of a line, 1 or 2")
        stride_across: I16 = note("pixels between lines of outputs")
        pad_along: I16 = note("pixels of padding before a line")
        pad_across: I16 = note("lines of padding before the first one")
        by_column: U8 = note("1: lines are columns of the image, 0: they are rows")
        some_exact: U8 = note("1: some channels have no constants, and compute as the portable kernels do")
        scale_words: I8 = note("words of a record: 4, or 6 if the outputs' zero point lies between them")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        window = self.window(call)
        one_each = call.x.shape[3] == self.channels(call)
        return one_each and small(window.y) and small(window.x) and min(window.y.stride, window.x.stride) <= 2

    def by_column(self, call: Call) -> bool:
        """Whether lines are image columns: what costs less, of what the kernel can do."""
        y, x = self.window(call).y, self.window(call).x
        if max(y.stride, x.stride) > 2:
            return y.stride <= 2
        return cost(y, x) < cost(x, y)

    def axes(self, call: Call) -> tuple[Axis, Axis]:
        """(along the lines, across them)"""
        window = self.window(call)
        return (window.y, window.x) if self.by_column(call) else (window.x, window.y)

    def scratch_bytes(self, call: Call) -> int:
        along, _ = self.axes(call)
        return STREAM_BYTES + COLUMN_BYTES * ((along.out - 1) * along.stride + TAPS)

    def separation(self, call: Call, index: int) -> int | None:
        """None: some channels are written all over the image before others are read. See `in_place`."""
        return None

    def in_place(self, call: Call, index: int) -> bool:
        """Whether the output may begin exactly where the input does, if one call computes all rows.

        A line of outputs is written when its window is unpacked, and with it, unless windows begin more than two lines
        before, the line that it overwrites.
        """
        _, across = self.axes(call)
        window = self.window(call)
        return call.x.shape == call.y.shape and max(window.y.stride, window.x.stride) == 1 and across.before < TAPS

    def params(self, call: Call) -> Params:
        base, by_column = super().params(call), self.by_column(call)
        along, across = self.axes(call)
        weights = call.input(1).data
        assert weights is not None
        full = np.zeros((weights.shape[3], TAPS, TAPS), np.int8)
        taps = weights[0].transpose((2, 1, 0) if by_column else (2, 0, 1))
        full[:, : taps.shape[1], : taps.shape[2]] = taps
        scale = scales(self, call, OFFSET * self.weight_sums(call, weights))
        return self.Params(
            full.reshape(-1), scale.records, base.in_h, base.in_w, base.in_c, base.out_w,
            along.stride, across.stride, along.before, across.before, int(by_column), int(scale.some_exact),
            scale.words, base.pad_value, scale.low, scale.high, base.out_zero,
        )  # fmt: skip


def small(axis: Axis) -> bool:
    """Whether the kernel knows windows of this size."""
    return axis.kernel <= TAPS and (axis.dilation == 1 or axis.kernel == 1)


def cost(along: Axis, across: Axis) -> int:
    """Instructions a channel, about."""
    return across.out * (LINE_COST + OUTPUT_COST * along.out)
