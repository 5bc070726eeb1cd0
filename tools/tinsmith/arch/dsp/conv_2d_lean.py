"""CONV_2D for cores with the DSP extension, without scratch: taps of two pixels are read where they lie."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ...graph import Array
from ...ops.base import LEAN, Call
from ...ops.conv_2d import Conv2D
from ...ops.params import I8, I16, I32, I32s, note
from ._dense import Dense, dense, quad_steps

WORDS = 20  # LEAN_WORDS: of four taps, that are multiplied at a time
QUADS = 2  # a quarter of LEAN_CHANNELS, which share them


class Conv2DDspLean(Conv2D):
    """Reads the windows of two pixels, a few taps at a time, and multiplies them with weights of two channels a
    word."""

    arch = "dsp"
    purpose = LEAN
    pace = 2.0
    variant = LEAN
    extra_sources = ("arch/dsp/two_pixels.S",)

    @dataclass(frozen=True)
    class Params:
        weights: I32s = note("[quads / 2][steps][2][words of a step][2][2]: lanes of 256 * w1 + w0")
        biases: I32s = note("[pairs][2][2]: 256 * b1 + b0, b0, for each of two pixels")
        scales: I32s = note("[pairs or one][6]: multiplier, constant, shift of the upper, then of the lower channel")
        scale_step: I32 = note("bytes from a pair's scales to the next one's")
        in_h: I16 = note("input rows")
        row_bytes: I32 = note("bytes of an input row")
        out_w: I16 = note("columns of an output row")
        out_c: I16 = note("output channels")
        kernel_h: I16 = note("rows of the kernel")
        runs: I16 = note("runs of a kernel row: taps that lie one behind the other")
        run_words: I32 = note("words of a run, filled up with weights of zero")
        rows: I8 = note("kernel rows at a time")
        words: I8 = note("words of a run at a time")
        stride_h: I16 = note("rows between outputs")
        step: I32 = note("bytes between outputs")
        dilation_h: I16 = note("rows between taps")
        run_step: I32 = note("bytes between runs")
        pad_top: I16 = note("rows of padding above")
        pad_left: I32 = note("bytes of padding to the left")
        row_parts: I16 = note("rows of the output that are one image row")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")

    def suits(self, call: Call) -> bool:
        """Layers with rows of a word at least, all of whose channels two_pixels.S may scale; rows in any parts."""
        return call.x.shape[2] * call.x.shape[3] >= 4 and not self.dense(call).wide

    def runs(self, call: Call) -> Array:
        """The weights as [channels, kernel rows, runs, taps], each run filled up to whole words."""
        weights, window = call.input(1).data, self.window(call)
        assert weights is not None
        out_c, kernel_h, kernel_w, in_c = weights.shape
        together = kernel_w if window.x.dilation == 1 else 1
        found = weights.reshape(out_c, kernel_h, kernel_w // together, together * in_c)
        return np.pad(found, ((0, 0), (0, 0), (0, 0), (0, -found.shape[3] % 4)))

    def dense(self, call: Call) -> Dense:
        return dense(self, call, quad_steps(self.runs(call).reshape(self.channels(call), -1)))

    def params(self, call: Call) -> Params:
        base: Conv2D.Params = super().params(call)
        found, (_, kernel_h, runs, taps) = self.dense(call), self.runs(call).shape
        words = min(taps // 4, WORDS)
        rows = min(kernel_h, WORDS // words) if runs == 1 else 1
        weights = found.weights.reshape(-1, kernel_h, runs, taps // 4, 4)
        biases = found.biases.reshape(-1, 1, 2).repeat(2, axis=1).reshape(-1)
        return self.Params(
            in_steps(weights, rows, words), biases, found.scales, found.scale_step,
            base.in_h, base.in_w * base.in_c, base.out_w, base.out_c, kernel_h, runs, taps // 4, rows, words,
            base.stride_h, base.stride_w * base.in_c, base.dilation_h, base.dilation_w * base.in_c,
            base.pad_top, base.pad_left * base.in_c, base.row_parts, base.pad_value, base.low, base.high,
        )  # fmt: skip


def in_steps(weights: Array, rows: int, words: int) -> Array:
    """Weights [quads][kernel rows][runs][words][4] in the order in which the kernel reads them."""
    quads, kernel_h, runs, count, _ = weights.shape
    steps = itertools.product(range(0, quads, QUADS), range(0, kernel_h, rows), range(runs), range(0, count, words))
    return np.concatenate([weights[q : q + QUADS, k : k + rows, i, w : w + words].reshape(-1) for q, k, i, w in steps])
