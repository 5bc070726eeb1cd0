"""CONV_2D for cores with the DSP extension: blocks of three or four pixels times pairs of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...graph import Array
from ...ops._conv import ConvParams
from ...ops.base import I8, I16, I32, Call, I32s, note
from ...ops.conv_2d import Conv2D
from ._matrix import Chunks, in_loading_order, ordered, paired, scales, weight_words

MOST_PIXELS = 4
MOST_WASTE = 0.03  # of the work, that blocks of four pixels alone may cost a thrifty build
MOST_MADE = 160  # taps of a window that is put together as a whole


class Conv2DDsp(Conv2D):
    """Unpacks the windows of up to four pixels into scratch, two taps a word, and multiplies them with
    weights of two channels a word."""

    arch = "dsp"
    extra_sources = ("arch/dsp/matrix.S",)
    parts: ClassVar[Mapping[str, str]] = {
        "windows": "windows of several pixels",
        "linear": "windows of single pixels that lie one behind the other",
        "block3": "blocks of three pixels; else one of four fills up with a pixel twice",
        "plain": "pairs of channels that matrix.S may not compute",
        "limits": "limits of the output other than those of int8",
    }

    @dataclass(frozen=True)
    class Params:
        weights: I32s = note("[pairs][words]: lanes of 256 * w1 + w0, in the order of loading")
        table: I32s = note("[pairs][8]: see tin_dsp.h")
        runs: I32s = note("pairs for matrix.S, pairs for plain C, in turn")
        words: I32 = note("weights of a pair, words of a pixel")
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
        first: I8 = note("words of a pair's first load, behind its first one; all others have one more")
        linear: I8 = note("1: windows are single pixels one behind the other")
        rows: I8 = note("rows of taps that are unpacked at once: all, or one")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def steps(self, call: Call) -> Array:
        """The weights as [channels, steps, 2]: runs of a kernel row's taps."""
        weights = call.input(1).data
        assert weights is not None
        return ordered(weights.reshape(len(weights), -1), weights.shape[1])

    def scratch_bytes(self, call: Call) -> int:
        """Words of all pixels, and, where rows of taps are put together, room for some of each pixel."""
        _, kernel_h, kernel_w, in_c = call.input(1).shape
        per_run = (kernel_w * in_c + 1) // 2
        words = Chunks.of(kernel_h * per_run).total
        made = self.window(call).reaches_out or call.attrs.dilation_w_factor > 1
        return MOST_PIXELS * (4 * words + (self.rows_at_once(call) * kernel_w * in_c if made else 0))

    def rows_at_once(self, call: Call) -> int:
        """All rows of a window, unless putting a window together would take much scratch."""
        _, kernel_h, kernel_w, in_c = call.input(1).shape
        return kernel_h if kernel_h * kernel_w * in_c <= MOST_MADE and kernel_h <= 127 else 1

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        p = self.params(call)
        pixels = p.out_w * (call.y.shape[1] if p.linear else 1)
        waste = (-pixels % MOST_PIXELS) / pixels
        used = {
            "windows": not p.linear,
            "linear": p.linear,
            "block3": waste > (MOST_WASTE if thrifty else 0),
            "plain": len(p.runs) > 1,
            "limits": (p.low, p.high) != (-128, 127),
        }
        return frozenset(part for part, needed in used.items() if needed)

    def params(self, call: Call) -> Params:
        base: ConvParams = super().params(call)
        steps = self.steps(call)
        chunks, scale = Chunks.of(steps.shape[1]), scales(self, call, steps)
        words = in_loading_order(weight_words(paired(steps)), chunks)
        pointwise = base.kernel_h * base.kernel_w * base.stride_h * base.stride_w == 1
        linear = pointwise and not self.window(call).reaches_out
        return self.Params(
            words.reshape(-1), scale.table.reshape(-1), scale.runs, chunks.total,
            base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            chunks.words - 1, int(linear), self.rows_at_once(call), base.pad_value,
            base.low, base.high, base.out_zero,
        )  # fmt: skip
