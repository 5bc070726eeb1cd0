"""CONV_2D for cores with the DSP extension: blocks of two to four pixels times pairs of channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from typing import ClassVar

import numpy as np

from ...graph import Array
from ...ops._conv import ConvParams
from ...ops.base import Call
from ...ops.conv_2d import Conv2D
from ...ops.params import I8, I16, I32, I32s, note
from ._matrix import LOADS, SLIDING, ordered, paired, scales, stream, tap_order, weight_words

MOST_PIXELS = 4
BLOCKS = {4: 12.25, 3: 9.94, 2: 7.25}  # pixels of a block -> instructions a weight word, if there are 32 in a pair
CHOICES: tuple[tuple[str, ...], ...] = ((), ("block3",), ("block2",), ("block3", "block2"))  # beside blocks of four
MOST_WASTE, FEW = 0.015, 1000  # of the work, and instructions, that it may cost a thrifty build to do without
MOST_MADE = 160  # taps of a window that is put together as a whole
NINE = 9  # taps of a window's row that have a loop of their own
MOST_TWICE = 0.15  # of a line's pixels, that may be computed twice


class Way(IntEnum):
    """How the windows of a block's pixels are found."""

    WINDOWS = 0  # one by one; blocks go on from row to row
    LINEAR = 1  # single pixels, one behind the other
    LINES = 2  # together: a block lies in one row, the last one perhaps on a part of the one before
    SLIDING = 3  # the same, and windows of three columns share them


def next_block(left: int, blocks: Collection[str]) -> int:
    """Pixels of the next block where so many are left, with blocks of four and some others: as tin_dsp_size."""
    if (left > 5 or left == 4) if "block2" in blocks else left % 4 == 0:
        return 4
    if "block2" in blocks and left <= 2:
        return 2
    return 3 if "block3" in blocks else 4


def best_blocks(stretches: Iterable[int], words: int, thrifty: bool) -> tuple[str, ...]:
    """The fastest of CHOICES for stretches of so many pixels and so many weight words, or the first one that is hardly
    slower."""
    costs = dict.fromkeys(CHOICES, 0.0)
    for (pixels, count), blocks in product(Counter(stretches).items(), CHOICES):
        while pixels > 0:
            size = next_block(pixels, blocks)
            costs[blocks] += count * words * BLOCKS[size]
            pixels -= 1 if (size, pixels) == (4, 2) else size  # as tin_dsp_count
    least = min(costs.values())
    most = least * (1 + MOST_WASTE) + FEW if thrifty else least
    return next(blocks for blocks in CHOICES if costs[blocks] <= most)


class Conv2DDsp(Conv2D):
    """Unpacks the windows of up to four pixels into scratch, two taps a word, and multiplies them with
    weights of two channels a word."""

    arch = "dsp"
    extra_sources = ("arch/dsp/blocks.S", "arch/dsp/blocks_few.S", "arch/dsp/windows.S", "arch/dsp/neighbours.S")
    parts: ClassVar[Mapping[str, str]] = {
        "windows": "windows of several pixels, blocks that go on from row to row",
        "linear": "windows of single pixels that lie one behind the other",
        "lines": "windows of several pixels, blocks that lie in one row",
        "nines": "rows of nine taps that lie in one line, as of 3x3 kernels over three colours",
        "sliding": "the same for windows three columns wide that share them",
        "block3": "blocks of three pixels; else one of four fills up with a pixel twice",
        "block2": "blocks of two pixels; else one of three or four fills up with a pixel twice",
        "plain": "pairs of channels that blocks.S may not compute",
        "limits": "limits of the output other than those of int8",
    }

    ring_parts: ClassVar[frozenset[str] | None] = frozenset()

    @dataclass(frozen=True)
    class Params:
        stream: I32s = note("[pairs][words + 7]: weights and scales, see tin_dsp.h")
        runs: I32s = note("pairs for blocks.S, pairs for plain C, in turn")
        words: I32 = note("weights of a pair")
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
        way: I8 = note("0: windows one by one, 1: single pixels, 2: windows of a line, 3: sharing their columns")
        rows: I8 = note("rows of taps that are unpacked at once where windows come one by one: all, or one")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def products(self, call: Call, way: Way) -> Array:
        """The weights as [channels, steps, 2]: runs of a kernel row's taps, or two channels of all columns at once."""
        weights = call.input(1).data
        assert weights is not None
        if way != Way.SLIDING:
            return ordered(weights.reshape(len(weights), -1), weights.shape[1])
        columns = weights[..., tap_order(weights.shape[3])]  # [channels, rows, columns, steps, 2]
        return np.ascontiguousarray(columns.swapaxes(2, 3)).reshape(len(weights), -1, 2)

    def way(self, call: Call) -> Way:
        _, kernel_h, kernel_w, in_c = call.input(1).shape
        window = self.window(call)
        if kernel_h * kernel_w * window.y.stride * window.x.stride == 1 and not window.reaches_out:
            return Way.LINEAR
        twice = -window.x.out % MOST_PIXELS / window.x.out
        if window.x.out < MOST_PIXELS or window.x.dilation > 1 or twice > MOST_TWICE:
            return Way.WINDOWS
        shared = kernel_w == 3 and window.x.stride == 1 and in_c % 4 == 0
        shared = shared and kernel_h * kernel_w * in_c // 2 > SLIDING.first + 1
        return Way.SLIDING if shared and self.all_exact(call) else Way.LINES

    def all_exact(self, call: Call) -> bool:
        """Whether blocks.S may compute all pairs of channels."""
        return len(scales(self, call, self.products(call, Way.WINDOWS)).runs) == 1

    def scratch_bytes(self, call: Call) -> int:
        """Words of all pixels or columns, and room for taps that are put together."""
        _, kernel_h, kernel_w, in_c = call.input(1).shape
        window, way = self.window(call), self.way(call)
        if way == Way.SLIDING:
            words = (MOST_PIXELS + 2) * kernel_h * (in_c // 2)
        else:
            words = MOST_PIXELS * kernel_h * ((kernel_w * in_c + 1) // 2)
        if way == Way.WINDOWS and (window.reaches_out or window.x.dilation > 1):
            return 4 * words + MOST_PIXELS * self.rows_at_once(call) * kernel_w * in_c
        line = (MOST_PIXELS - 1) * window.x.stride + kernel_w
        return 4 * words + (line * in_c if window.reaches_out and way != Way.LINEAR else 0)

    def rows_at_once(self, call: Call) -> int:
        """All rows of a window, unless putting a window together would take much scratch."""
        _, kernel_h, kernel_w, in_c = call.input(1).shape
        return kernel_h if kernel_h * kernel_w * in_c <= MOST_MADE and kernel_h <= 127 else 1

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        p = self.params(call)
        stretches = [p.out_w * rows for rows in call.stretches or (call.y.shape[1],)]
        blocks = best_blocks(stretches, p.words * -(-p.out_c // 2), thrifty)
        used = {
            "windows": p.way == Way.WINDOWS,
            "linear": p.way == Way.LINEAR,
            "lines": p.way == Way.LINES,
            "nines": p.way == Way.LINES and p.kernel_w * p.in_c == NINE,
            "sliding": p.way == Way.SLIDING,
            "block3": p.way <= Way.LINEAR and "block3" in blocks,
            "block2": p.way <= Way.LINEAR and "block2" in blocks,
            "plain": len(p.runs) > 1,
            "limits": (p.low, p.high) != (-128, 127),
        }
        return frozenset(part for part, needed in used.items() if needed)

    def params(self, call: Call) -> Params:
        base: ConvParams = super().params(call)
        way = self.way(call)
        steps = self.products(call, way)
        scale = scales(self, call, steps)
        loads = SLIDING if way == Way.SLIDING else LOADS
        return self.Params(
            stream(weight_words(paired(steps)), scale.table, loads).reshape(-1), scale.runs, steps.shape[1],
            base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            int(way), self.rows_at_once(call), base.pad_value, base.low, base.high, base.out_zero,
        )  # fmt: skip
