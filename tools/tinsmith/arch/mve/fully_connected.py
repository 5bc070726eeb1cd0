"""FULLY_CONNECTED for cores with integer vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ops._quantized import clamp_limits
from ...ops._weighted import folded_bias
from ...ops.base import Call
from ...ops.fully_connected import FullyConnected
from ...ops.params import I8, I32, I8s, I32s, note
from ._scales import channel_scales


class FullyConnectedMve(FullyConnected):
    """Multiplies the input with the weights of four channels, sixteen values an instruction."""

    arch = "mve"

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[out_c][in_c]")
        bias: I32s = note("[out_c], input offset folded in")
        multiplier: I32s = note("[out_c or 1], Q31")
        shift: I32s = note("[out_c or 1], power of two applied with the multiplier")
        in_c: I32 = note("values a row of the input")
        out_c: I32 = note("values a row of the output")
        per_channel: I8 = note("1: scales differ from channel to channel")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def params(self, call: Call) -> Params:
        weights, (low, high) = call.input(1).data, clamp_limits(call)
        assert weights is not None
        scales = np.stack(channel_scales(self, call))
        if (scales == scales[:, :1]).all():
            scales = scales[:, :1]
        return self.Params(
            weights.reshape(-1), folded_bias(self, call), scales[0].copy(), scales[1].copy(),
            weights.shape[1], weights.shape[0], int(scales.shape[1] > 1), low, high, call.y.zero_point,
        )  # fmt: skip
