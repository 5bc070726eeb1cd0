"""CONV_2D for plain 32-bit cores: three pixels in two words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from ...ops._conv import ConvParams
from ...ops.base import Call
from ...ops.conv_2d import Conv2D
from ...ops.params import I8, I16, I32, I8s, I32s, note
from ._columns import BYTES_A_TAP, PARTS, Strip, packed, used_parts
from ._pack import cut, interleaved
from ._scales import recoverable, scales

LONGEST_RUN = 64  # bytes of a window's row up to which windows are packed by columns


class Conv2DWord(Conv2D):
    """Packs the windows of six pixels into the scratch, three pixels in two words, and multiplies
    them with four channels' weights at a time; requantizes with one multiplication."""

    arch = "word"
    pixels = 32
    parts = PARTS

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[out_c / 4][chunk * chunks][4], filled up with zeros")
        padding: I8s = note("the input's zero point, for a tap or a row of a strip, if there is padding")
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
        span: I16 = note("neighbouring outputs whose windows are packed as one strip of columns")
        columns: I16 = note("input columns of a strip; 0: windows are packed one by one, taps a row at a time")
        chunks: I16 = note("parts of the taps whose sums are unpacked one by one")
        chunk: I32 = note("taps of a part")
        scale_words: I8 = note("words of a record: 2, or 4 if the outputs' zero point lies between them")
        low: I8 = note("least output")
        steps: I16 = note("outputs above it")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """All but layers with so many large weights that sums might exceed 2^23."""
        return super().suits(call) and recoverable(self, call)

    def scratch_bytes(self, call: Call) -> int:
        weights, strip = self.packed(call)
        chunk, chunks = cut(weights)
        return BYTES_A_TAP * (strip.before + chunk * chunks)

    def params(self, call: Call) -> Any:
        base: ConvParams = super().params(call)
        scale = scales(self, call)
        weights, strip = self.packed(call)
        chunk, chunks = cut(weights)
        padding = max(1, strip.columns) * base.in_c if self.window(call).reaches_out else 1
        return self.Params(
            interleaved(weights, chunk, chunks), np.full(padding, base.pad_value, np.int8),
            scale.records, base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            strip.span, strip.columns, chunks, chunk, scale.words, scale.low, scale.steps, base.out_zero,
        )  # fmt: skip

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        return used_parts(self, call, self.packed(call)[1])

    def packed(self, call: Call) -> tuple[Array, Strip]:
        """(weights [channels, taps] in the order of packed inputs, how these are packed)"""
        return packed(self, call, LONGEST_RUN)
