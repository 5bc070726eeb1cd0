"""Stretches of neighbouring outputs, whose windows are packed a column at a time.

A block computes six stretches of `span` outputs each, side by side. Windows of neighbours share columns: a stretch is
packed as one strip of columns, taps in the order column, row, channel, so that each of its windows is one run of
taps within the strip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...graph import Array
from ...ops._window import Axis, Window
from ...ops.base import Call
from ...ops.conv_2d import Conv2D

PIXELS = 6  # of a block
BYTES_A_TAP = 16  # of six pixels, packed
# Bytes of scratch that strips may take beyond a single window: as many as the window itself, within these limits.
MORE = 576, 1024
# Instructions, roughly: to multiply a tap of six pixels, to pack one, to find where a row of a strip is read from.
MULTIPLY, PACK, FIND = 10, 22, 150


@dataclass(frozen=True)
class Strip:
    """`span` outputs and the input columns that their windows cover. No columns: windows are packed by rows."""

    span: int
    columns: int
    taps: int
    before: int  # taps in front of the last window


def strips(window: Window, in_c: int) -> Iterator[Strip]:
    """Strips that cut a row of outputs into equal parts, in rising order, the first for single outputs."""
    height = window.y.kernel * in_c
    for span in range(1, window.x.out + 1):
        if window.x.out % span == 0:
            before = (span - 1) * window.x.stride
            yield Strip(span, before + window.x.kernel, (before + window.x.kernel) * height, before * height)


def best_strip(op: Conv2D, call: Call) -> Strip:
    """The one that costs the fewest instructions."""
    window, in_c, out_c = op.window(call), call.x.shape[3], op.channels(call)
    single, *others = strips(window, in_c)

    def cost(strip: Strip) -> int:
        blocks = -(-window.y.out * (window.x.out // strip.span) // PIXELS)
        each = strip.taps * PACK + window.y.kernel * FIND + strip.span * single.taps * out_c * MULTIPLY
        return blocks * each

    room = min(max(BYTES_A_TAP * single.taps, MORE[0]), MORE[1])
    fits = [s for s in others if BYTES_A_TAP * s.before <= room]
    return min([single, *fits], key=cost)


PARTS = {
    "linear": "windows of single pixels that lie one behind the other",
    "columns": "windows packed as strips of columns",
    "rows": "windows packed a row of taps at a time",
}


def used_parts(op: Conv2D, call: Call, strip: Strip) -> frozenset[str]:
    """Those of PARTS. Single pixels come as columns where they lie in a ring of rows."""
    window = op.window(call)
    linear = {"linear"} if single(window.y) and single(window.x) else set()
    return frozenset(linear | {"columns" if strip.columns else "rows"})


def single(axis: Axis) -> bool:
    """Whether outputs lie where their only tap is."""
    return axis.kernel == 1 and axis.stride == 1 and axis.before == 0 and axis.out == axis.size


def packed(op: Conv2D, call: Call, longest_run: int) -> tuple[Array, Strip]:
    """(weights [channels, taps] in the order of packed inputs, how these are packed)

    By columns if no row of a window is longer than `longest_run` bytes; else by rows, which long ones suit better.
    """
    weights, window = call.input(1).data, op.window(call)
    assert weights is not None
    channels, kernel_h, kernel_w, in_c = weights.shape
    if kernel_h * kernel_w == 1:
        return weights.reshape(channels, -1), Strip(span=1, columns=1, taps=in_c, before=0)
    if window.y.dilation == window.x.dilation == 1 and kernel_w * in_c <= longest_run:
        return np.ascontiguousarray(weights.transpose(0, 2, 1, 3)).reshape(channels, -1), best_strip(op, call)
    return weights.reshape(channels, -1), Strip(span=1, columns=0, taps=kernel_h * kernel_w * in_c, before=0)
