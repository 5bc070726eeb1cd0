"""FULLY_CONNECTED for ARMv6-M: two products in one multiplication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from ...ops.base import Call
from ...ops.fully_connected import FullyConnected
from ...ops.params import I8, I16, I32, I32s, note
from ..word.fully_connected import MOST_OUTLIERS, QUAD, find_outliers, piece_size, quads_of, scratch
from ._pack import OFFSET
from ._scales import common_scales

CHANNELS = 2  # side by side
MOST_QUADS = 8  # of a group
QUAD_COST, GROUP_COST, OUTLIER_COST = 9, 8, 14  # instructions a channel, about
OUTLIER_BYTES = 30  # instructions that a word of flash is worth


class FullyConnectedThumb1(FullyConnected):
    """Multiplies a pair of inputs with a pair of weights at a time, two channels side by side."""

    arch = "thumb1"
    extra_sources = ("arch/thumb1/dot_pairs.S",)

    @dataclass(frozen=True)
    class Params:
        weights: I32s = note("[out_c / 2][quads][2], four weights in a word, 128 added to each")
        outliers: I32s = note("weights that are zeros there: input * 2^10 | channel % 2 * 2^8 | weight, ...")
        scales: I32s = note("a record for each channel, then constants that several share")
        in_c: I32 = note("values a row of the input")
        out_c: I32 = note("values a row of the output")
        quads: I32 = note("words of weights a channel")
        piece: I32 = note("words whose inputs are packed at a time")
        group: I16 = note("words whose products are summed in 16 bits")
        has_outliers: I8 = note("0 if there are none at all")
        scale_words: I8 = note("words of a record: 1, 4, or 6 if the outputs' zero point lies between them")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """All but layers of which too many weights are too large."""
        quads = quads_of(call)
        _, outliers = group_size(quads)
        return int(outliers.sum()) <= MOST_OUTLIERS * quads.size

    def scratch_bytes(self, call: Call) -> int:
        quads = quads_of(call)
        group, _ = group_size(quads)
        return scratch(quads, group, piece_size(quads, group))

    def params(self, call: Call) -> Any:
        scale, quads = common_scales(self, call), quads_of(call)
        channels, depth = call.input(1).shape
        group, outliers = group_size(quads)
        return self.Params(
            packed(np.where(outliers, 0, quads)), listed(quads, outliers), scale.records, depth, channels,
            quads.shape[1], piece_size(quads, group), group, int(outliers.any()), scale.words,
            scale.low, scale.high, call.y.zero_point,
        )  # fmt: skip


def group_size(quads: Array) -> tuple[int, Array]:
    """(quads a group, which weights are outliers): the cheapest of the numbers that divide the number of quads."""
    channels, count, _ = quads.shape
    found: list[tuple[float, int, Array]] = []
    for size in range(1, min(count, MOST_QUADS) + 1):
        if count % size == 0:
            outliers = find_outliers(quads.reshape(channels * count // size, -1)).reshape(quads.shape)
            cost = (QUAD_COST + GROUP_COST / size) * channels * count
            found.append((cost + (OUTLIER_COST + OUTLIER_BYTES) * int(outliers.sum()), size, outliers))
    _, size, outliers = min(found, key=lambda entry: entry[:2])
    return size, outliers


def listed(quads: Array, outliers: Array) -> Array:
    """The words of outliers, by pairs of channels, with -1 behind each pair; no pairs if there are none."""
    words: list[int] = []
    for first in range(0, len(quads) if outliers.any() else 0, CHANNELS):
        for channel, quad, k in np.argwhere(outliers[first : first + CHANNELS]).tolist():
            weight = int(quads[first + channel, quad, k]) & 0xFF
            words.append((quad * QUAD + k) << 10 | channel << 8 | weight)
        words.append(-1)
    return np.array(words or [-1], np.int32)


def packed(quads: Array) -> Array:
    """[channels, quads, 4] -> int32 [pairs of channels][quads][channels of the pair]."""
    channels, count, _ = quads.shape
    full = np.zeros((-(-channels // CHANNELS) * CHANNELS, count, QUAD), np.int64)
    full[:channels] = quads
    raised = full + OFFSET
    words = raised[..., 0] | raised[..., 2] << 8 | raised[..., 1] << 16 | raised[..., 3] << 24
    ordered = words.reshape(-1, CHANNELS, count).transpose(0, 2, 1).reshape(-1)
    return np.ascontiguousarray(ordered.astype(np.uint32).view(np.int32))
