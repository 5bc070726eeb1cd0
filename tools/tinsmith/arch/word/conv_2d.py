"""CONV_2D for plain 32-bit cores: three pixels in two words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from ...ops._conv import ConvParams
from ...ops.base import I8, I16, I32, Call, I8s, I32s, note
from ...ops.conv_2d import Conv2D
from ._pack import cut, interleaved
from ._scales import recoverable, scales

BYTES_A_TAP = 16  # six pixels in four words
PIXELS = 6
SHORT_RUN = 64  # bytes of a window's row up to which copies at the image's edges pay


class Conv2DWord(Conv2D):
    """Packs the windows of six pixels into the scratch, three pixels in two words, and multiplies
    them with four channels' weights at a time; requantizes with one multiplication."""

    arch = "word"

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[out_c / 4][chunk * chunks][4], filled up with zeros")
        padding: I8s = note("the input's zero point, for a tap or a whole run, if there is padding")
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
        chunks: I16 = note("parts of the taps whose sums are unpacked one by one")
        chunk: I32 = note("taps of a part")
        scale_words: I8 = note("words of a record: 2, or 4 if the outputs' zero point lies between them")
        short_runs: I8 = note("1: rows of windows are runs, copied at the image's edges")
        low: I8 = note("least output")
        steps: I16 = note("outputs above it")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """All but layers with so many large weights that sums might exceed 2^23."""
        return recoverable(self, call)

    def scratch_bytes(self, call: Call) -> int:
        chunk, chunks = cut(flat_weights(call))
        copies = PIXELS * run_bytes(call) if self.short_runs(call) and self.window(call).reaches_out else 0
        return BYTES_A_TAP * chunk * chunks + copies

    def params(self, call: Call) -> Any:
        base: ConvParams = super().params(call)
        scale = scales(self, call)
        weights = flat_weights(call)
        chunk, chunks = cut(weights)
        short = self.short_runs(call)
        padding = (run_bytes(call) if short else base.in_c) if self.window(call).reaches_out else 1
        return self.Params(
            interleaved(weights, chunk, chunks), np.full(padding, base.pad_value, np.int8),
            scale.records, base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            chunks, chunk, scale.words, int(short), scale.low, scale.steps, base.out_zero,
        )  # fmt: skip

    def short_runs(self, call: Call) -> bool:
        """Whether the taps of a window's row lie one behind the other, and are few."""
        return self.window(call).x.dilation == 1 and run_bytes(call) <= SHORT_RUN


def run_bytes(call: Call) -> int:
    """Bytes of a row of a window."""
    _, _, kernel_w, in_c = call.input(1).shape
    return kernel_w * in_c


def flat_weights(call: Call) -> Array:
    """[channels, taps]"""
    weights = call.input(1).data
    assert weights is not None
    return weights.reshape(len(weights), -1)
