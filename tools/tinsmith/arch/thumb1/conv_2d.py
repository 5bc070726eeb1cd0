"""CONV_2D for ARMv6-M."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...graph import Array
from ...ops._conv import ConvParams
from ...ops.base import Call
from ...ops.conv_2d import Conv2D
from ...ops.params import I8, I16, I32, I8s, I32s, U8s, note
from ..word._columns import BYTES_A_TAP, PARTS, Strip, packed, single, used_parts
from ._pack import cut, shifted
from ._scales import scales

LONGEST_RUN = 48  # bytes of a window's row up to which windows are packed by columns
LANE_START = 2**20  # what sums of a chunk are too large by


class Conv2DThumb1(Conv2D):
    """Packs the windows of six pixels into the scratch, three pixels in two words, and multiplies them with one
    channel's weights after the other; requantizes with two multiplications."""

    arch = "thumb1"
    pixels = 32
    extra_sources = ("arch/thumb1/conv_block.S", "arch/thumb1/conv_pack.S")
    parts = PARTS

    @dataclass(frozen=True)
    class Params:
        weights: U8s = note("[out_c][chunk * chunks], 128 added, filled up with 128")
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
        chunk: I32 = note("taps of a part whose sums are unpacked by themselves")
        chunks: I32 = note("such parts")
        scale_words: I8 = note("words of a record: 4, or 6 if the outputs' zero point lies between them")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def scratch_bytes(self, call: Call) -> int:
        weights, strip = self.packed(call)
        chunk, chunks = cut(weights)
        return BYTES_A_TAP * (strip.before + (chunk + 1) * chunks)

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        return used_parts(self, call, self.packed(call)[1])

    def packed(self, call: Call) -> tuple[Array, Strip]:
        """(weights [channels, taps] in the order of packed inputs, how these are packed)"""
        return packed(self, call, LONGEST_RUN)

    def separation(self, call: Call, index: int) -> int | None:
        window = self.window(call)
        if not (single(window.y) and single(window.x)):
            return super().separation(call, index)
        # Pixels are written in order, each after it was read: what counts is how far outputs gain on inputs.
        pixels = window.y.out * window.x.out
        return max(0, (pixels - 1) * (call.y.shape[3] - call.x.shape[3]))

    def params(self, call: Call) -> Params:
        base: ConvParams = super().params(call)
        weights, strip = self.packed(call)
        chunk, chunks = cut(weights)
        scale = scales(self, call, chunks * LANE_START)
        padding = max(1, strip.columns) * base.in_c if self.window(call).reaches_out else 1
        return self.Params(
            shifted(weights, chunk * chunks), np.full(padding, base.pad_value, np.int8),
            scale.records, base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            strip.span, strip.columns, chunk, chunks, scale.words, scale.low, scale.high, base.out_zero,
        )  # fmt: skip
