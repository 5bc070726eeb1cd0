"""FULLY_CONNECTED for cores with the DSP extension: four channels at a time, without scratch."""

from __future__ import annotations

from dataclasses import dataclass

from ...graph import Array
from ...ops._quantized import clamp_limits
from ...ops.base import Call
from ...ops.fully_connected import FullyConnected
from ...ops.params import I8, I32, I32s, note
from ._dense import dense, quad_steps
from ._matrix import lanes_fit, paired


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
        weights = call.input(1).data
        assert weights is not None
        return quad_steps(weights)

    def params(self, call: Call) -> Params:
        found, (low, high) = dense(self, call, self.products(call)), clamp_limits(call)
        return self.Params(
            found.weights, found.biases, found.scales, found.scale_step,
            call.input(1).shape[1], call.input(1).shape[0], int(found.wide), low, high, call.y.zero_point,
        )  # fmt: skip
