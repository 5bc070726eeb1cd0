"""FULLY_CONNECTED for cores with the DSP extension: four channels at a time, without scratch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...graph import Array
from ...ops._quantized import clamp_limits
from ...ops.base import I8, I32, Call, I32s, note
from ...ops.fully_connected import FullyConnected
from ._matrix import lanes_fit, ordered, paired, scales, weight_words

QUAD = 4  # channels at a time, and taps in a word of the input


class FullyConnectedDsp(FullyConnected):
    """Multiplies four channels at a time, two of them in a word, and unpacks inputs on the way."""

    arch = "dsp"
    extra_sources = ("arch/dsp/dense.S",)

    @dataclass(frozen=True)
    class Params:
        weights: I32s = note("[quads][in_c / 4][2][2]: lanes of 256 * w1 + w0")
        biases: I32s = note("[pairs][2]: 256 * b1 + b0, b0")
        scales: I32s = note("[pairs or one][6]: multiplier, constant, shift of the upper, then of the lower channel")
        scale_step: I32 = note("bytes from a pair's scales to the next one's")
        in_c: I32 = note("values a row of the input")
        out_c: I32 = note("values a row of the output")
        wide: I8 = note("1: sums may need more than 23 bits, biases and scales are as they are")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """Layers whose weights fit two to a lane: -128 is no upper weight of a negative lower one."""
        return bool(lanes_fit(paired(self.products(call))).all())

    def products(self, call: Call) -> Array:
        """The weights as [channels, steps, 2], filled up to a multiple of four taps."""
        weights = call.input(1).data
        assert weights is not None
        return ordered(np.pad(weights, ((0, 0), (0, -weights.shape[1] % QUAD))), 1)

    def params(self, call: Call) -> Params:
        steps = self.products(call)
        words, found = weight_words(paired(steps)), scales(self, call, steps, alone=False)
        wide = not found.exact.all()
        table = found.plain if wide else found.table
        if len(words) % 2:
            words, table = (np.concatenate([a, a[-1:]]) for a in (words, table))
        pairs, steps = words.shape
        quads = words.reshape(pairs // 2, 2, steps // 2, 2).transpose(0, 2, 3, 1)
        uniform = bool((table[:, 2:] == table[:1, 2:]).all())
        low, high = clamp_limits(call)
        return self.Params(
            np.ascontiguousarray(quads).reshape(-1), np.ascontiguousarray(table[:, :2]).reshape(-1),
            np.ascontiguousarray(table[:1, 2:] if uniform else table[:, 2:]).reshape(-1), 0 if uniform else 24,
            call.input(1).shape[1], call.input(1).shape[0], int(wide), low, high, call.y.zero_point,
        )  # fmt: skip
