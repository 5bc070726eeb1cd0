"""Geometry of ops that slide a window over an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Array
from .base import Call, Op, rule


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a sliding window, in pixels."""

    size: int  # of the input
    kernel: int
    stride: int
    dilation: int
    before: int  # padding in front
    out: int  # size of the output

    @classmethod
    def make(
        cls, size: int, kernel: int, stride: int, dilation: int, padding: str, pads: tuple[int, int] | None
    ) -> Axis:
        """Sizes and padding as TFLite computes them (padding.h), or with explicit `pads` (before, after)."""
        extent = (kernel - 1) * dilation + 1
        if pads is not None:
            return cls(size, kernel, stride, dilation, pads[0], (size + sum(pads) - extent) // stride + 1)
        if padding == "SAME":
            out = -(-size // stride)
            return cls(size, kernel, stride, dilation, max(0, (out - 1) * stride + extent - size) // 2, out)
        return cls(size, kernel, stride, dilation, 0, -(-(size - extent + 1) // stride))


@dataclass(frozen=True)
class Window:
    y: Axis
    x: Axis

    @property
    def reaches_out(self) -> bool:
        """Whether it lies partly beyond the image for some output."""
        return any(
            a.before > 0 or (a.out - 1) * a.stride - a.before + (a.kernel - 1) * a.dilation >= a.size
            for a in (self.y, self.x)
        )


class Windowed(Op):
    """Base of ops with `padding`, `stride_h`, `stride_w` and explicit `pads` ((top, bottom), (left, right))
    or None in their Attrs."""

    def kernel_size(self, call: Call) -> tuple[int, int]:
        raise NotImplementedError

    def dilation(self, call: Call) -> tuple[int, int]:
        return 1, 1

    def window(self, call: Call) -> Window:
        a, (_, h, w, _) = call.attrs, call.x.shape
        (kh, kw), (dh, dw) = self.kernel_size(call), self.dilation(call)
        pads = a.pads or (None, None)
        return Window(
            Axis.make(h, kh, a.stride_h, dh, a.padding, pads[0]),
            Axis.make(w, kw, a.stride_w, dw, a.padding, pads[1]),
        )

    @rule
    def input_is_one_image(self, call: Call) -> str | None:
        """The input must be one NHWC image of at most 32767 a side; export the model with a batch size of 1."""
        shape = call.x.shape
        return None if len(shape) == 4 and shape[0] == 1 and max(shape) <= 32767 else f"shape {list(shape)}"

    @rule
    def steps_are_positive(self, call: Call) -> str | None:
        """Window sizes, strides and dilations must be from 1 to 32767 pixels."""
        values = (*self.kernel_size(call), call.attrs.stride_h, call.attrs.stride_w, *self.dilation(call))
        return None if all(1 <= v <= 32767 for v in values) else f"{values}"

    @rule
    def padding_is_known(self, call: Call) -> str | None:
        """Padding must be SAME or VALID, and leave at least one output pixel."""
        if call.attrs.padding not in ("SAME", "VALID"):
            return str(call.attrs.padding)
        window = self.window(call)
        return None if window.y.out >= 1 and window.x.out >= 1 else f"output of {window.y.out} x {window.x.out}"

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        axis = self.window(call).y
        return max(0, row * axis.stride - axis.before)

    def last_input_row(self, call: Call, index: int, row: int) -> int:
        axis = self.window(call).y
        return min(axis.size - 1, row * axis.stride - axis.before + (axis.kernel - 1) * axis.dilation)


def patches(image: Array, window: Window, fill: int) -> Array:
    """All windows of an image [h, w, c] as a view-like array [out_y, out_x, kernel_y, kernel_x, c] of int64."""
    y, x = window.y, window.x
    rows = np.arange(y.out)[:, None] * y.stride + np.arange(y.kernel) * y.dilation
    cols = np.arange(x.out)[:, None] * x.stride + np.arange(x.kernel) * x.dilation
    after_y = max(0, int(rows.max()) + 1 - y.size - y.before)
    after_x = max(0, int(cols.max()) + 1 - x.size - x.before)
    padded = np.pad(image.astype(np.int64), ((y.before, after_y), (x.before, after_x), (0, 0)), constant_values=fill)
    windows: Array = padded[rows[:, None, :, None], cols[None, :, None, :]]
    return windows
