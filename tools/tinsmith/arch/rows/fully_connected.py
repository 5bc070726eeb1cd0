"""FULLY_CONNECTED, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from ...ops._quantized import clamp_limits
from ...ops._weighted import folded_bias
from ...ops.base import Call
from ...ops.fully_connected import FullyConnected
from ...ops.params import I8, I32, I8s, I32s, note
from ...ops.tensors import image_rows
from ._streamed import Streamed

QUAD = 4  # channels at a time


class FullyConnectedRows(Streamed, FullyConnected):
    """Weighted sums of a whole image, row by row: keeps an accumulator for every output."""

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[in_h]: [quads of channels][row_c][4], then [channels left over][row_c]")
        bias: I32s = note("[out_c], input offset folded in")
        multiplier: I32s = note("Q31, [out_c] or one for all")
        shift: I8s = note("power of two applied with the multiplier, as many")
        in_h: I32 = note("rows of the input, which is one image")
        row_c: I32 = note("values a row of the input")
        out_c: I32 = note("outputs")
        per_channel: I8 = note("1: a multiplier a channel; 0: one for all")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """Images of several rows that together are one row of the weights."""
        return self.has_rows(call) and call.x.size == call.input(1).shape[1]

    def state_bytes(self, call: Call) -> int:
        return 4 * self.channels(call)

    def params(self, call: Call) -> Any:
        (rows, nbytes), (low, high) = image_rows(call.x), clamp_limits(call)
        quant, weights = call.input(1).quant, call.input(1).data
        assert quant is not None and weights is not None
        scales = self.multipliers(call) if not quant.per_tensor else self.multipliers(call)[:1]
        multiplier, shift = np.array(scales, np.int64).T
        return self.Params(
            by_rows(weights, rows), folded_bias(self, call), multiplier.astype(np.int32), shift.astype(np.int8),
            rows, nbytes, len(weights), int(not quant.per_tensor), low, high, call.y.zero_point,
        )  # fmt: skip


def by_rows(weights: Array, rows: int) -> Array:
    """Weights [channels, inputs] in the order in which the kernel reads them, for an input of so many rows."""
    channels, inputs = weights.shape
    each = weights.reshape(channels, rows, inputs // rows).swapaxes(0, 1)
    whole = channels - channels % QUAD
    quads = each[:, :whole].reshape(rows, whole // QUAD, QUAD, -1).swapaxes(2, 3) if whole else each[:, :0]
    parts = [part.reshape(rows, part.size // rows) for part in (quads, each[:, whole:])]
    return np.concatenate(parts, axis=1).reshape(-1)
