"""AVERAGE_POOL_2D, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...ops._pool import axis_is_covered
from ...ops._quantized import clamp_limits
from ...ops.average_pool_2d import AveragePool2D
from ...ops.base import Call
from ...ops.params import I8, I16, note
from ._streamed import FORMS, Summing


class AveragePool2DRows(Summing, AveragePool2D):
    """Windows as high as the image, row by row: keeps a sum for every output."""

    @dataclass(frozen=True)
    class Params:
        in_h: I16 = note("input rows, all of which the window covers")
        in_w: I16 = note("input columns")
        channels: I16 = note("channels")
        out_w: I16 = note("output columns")
        kernel_w: I16 = note("columns of the window")
        stride_w: I16 = note("columns between outputs")
        pad_left: I16 = note("columns of padding to the left")
        form: I8 = note("of the sums: 0 packed, 1 narrow, 2 wide")
        low: I8 = note("least output")
        high: I8 = note("greatest output")

    def suits(self, call: Call) -> bool:
        """Images of several rows with one row of windows that leaves none of them out."""
        y, x = self.window(call).y, self.window(call).x
        covers = y.out == 1 and y.before >= 0 and y.kernel - y.before >= y.size
        return self.has_rows(call) and covers and axis_is_covered(x)

    def summed(self, call: Call) -> tuple[int, int]:
        window = self.window(call)
        return window.y.size * min(window.x.kernel, window.x.size), call.x.shape[3]

    def params(self, call: Call) -> Any:
        y, x = self.window(call).y, self.window(call).x
        low, high = clamp_limits(call)
        return self.Params(
            y.size,
            x.size,
            call.x.shape[3],
            x.out,
            x.kernel,
            x.stride,
            x.before,
            FORMS.index(self.form(call)),
            low,
            high,
        )
