"""DEPTHWISE_CONV_2D for plain 32-bit cores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ops.base import Call
from ...ops.depthwise_conv_2d import DepthwiseConv2D
from ...ops.params import I8, I16, I32, I8s, I32s, note
from ._scales import recoverable, scales

MOST_ROWS = 16  # of a window; MOST_ROWS of the kernel


class DepthwiseConv2DWord(DepthwiseConv2D):
    """Computes a row of one channel after the other; windows of 3x3 slide along it with nine weights
    in registers, other windows are taken four at a time; requantizes with one multiplication."""

    arch = "word"
    pixels = 32

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[out_c][kernel_h][kernel_w]")
        scales: I32s = note("a record for each channel, then constants of channels that need their own")
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
        steps: I16 = note("outputs above `low`")
        slides: I8 = note("1: a window of 3x3 that slides; 0: any other")
        scale_words: I8 = note("words of a record: 2, or 4 if the outputs' zero point lies between them")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """All but windows of more than 16 rows, and sums that might exceed 2^23."""
        return self.window(call).y.kernel <= MOST_ROWS and recoverable(self, call)

    def params(self, call: Call) -> Any:
        base, scale = super().params(call), scales(self, call)
        weights = base.weights.reshape(base.kernel_h * base.kernel_w, base.out_c)
        return self.Params(
            np.ascontiguousarray(weights.T).reshape(-1), scale.records,
            base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            scale.steps, int(self.slides(call, scale.words)), scale.words, base.pad_value, scale.low, base.out_zero,
        )  # fmt: skip

    def slides(self, call: Call, words: int) -> bool:
        """Whether windows are 3x3 at most one column beyond the image, and one line does for requantization."""
        y, x = self.window(call).y, self.window(call).x
        beyond = (x.out - 1) * x.stride - x.before + 3 - x.size
        square = y.kernel == x.kernel == 3 and x.dilation == 1 and x.stride in (1, 2)
        return square and x.before <= 1 and beyond <= 1 and words == 2 and call.y.shape[3] == call.x.shape[3]
