"""FULLY_CONNECTED for plain 32-bit cores: two products in one multiplication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from ...ops.base import Call
from ...ops.fully_connected import FullyConnected
from ...ops.params import I8, I16, I32, I32s, note
from ._pack import CHANNELS
from ._scales import common_scales

QUAD = 4  # weights a word
MOST_QUADS = 16  # of a group: longer ones save next to nothing
LEAST_PIECE = 64  # quads packed at a time: fewer would cost more than a few percent
MOST_OUTLIERS = 0.05  # of all weights; more would cost more than they save


class FullyConnectedWord(FullyConnected):
    """Multiplies a pair of inputs with a pair of weights at a time, four channels side by side."""

    arch = "word"

    @dataclass(frozen=True)
    class Params:
        weights: I32s = note("[out_c / 4][quads][4], four weights in a word, each plus 128")
        outliers: I32s = note("weights that are zeros there: input * 2^10 | channel % 4 * 2^8 | weight, ...")
        scales: I32s = note("a record for each channel, then constants that several share")
        in_c: I32 = note("values a row of the input")
        out_c: I32 = note("values a row of the output")
        quads: I32 = note("words of weights a channel")
        piece: I32 = note("words whose inputs are packed at a time")
        group: I16 = note("words whose products are summed in 16 bits")
        steps: I16 = note("outputs above `low`")
        has_outliers: I8 = note("0 if there are none at all")
        scale_words: I8 = note("words of a record: 1, 2, or 4 if the outputs' zero point lies between them")
        low: I8 = note("least output")
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
            quads.shape[1], piece_size(quads, group), group, scale.steps, int(outliers.any()), scale.words,
            scale.low, call.y.zero_point,
        )  # fmt: skip


def quads_of(call: Call) -> Array:
    """Weights [channels, quads, 4], filled up with zeros."""
    weights = call.input(1).data
    assert weights is not None
    channels, depth = weights.shape
    full = np.zeros((channels, -(-depth // QUAD) * QUAD), np.int8)
    full[:, :depth] = weights
    return full.reshape(channels, -1, QUAD)


def fits_lane(weights: Array) -> Array:
    """Whether the sum of the last dimension's weights times any bytes has 16 bits."""
    positive = np.maximum(weights, 0).sum(axis=-1, dtype=np.int64)
    negative = np.minimum(weights, 0).sum(axis=-1, dtype=np.int64)
    fits: Array = (127 * positive - 128 * negative < 2**15) & (127 * negative - 128 * positive >= -(2**15))
    return fits


def group_size(quads: Array) -> tuple[int, Array]:
    """(quads a group, which weights are outliers): the cheapest of the numbers that divide the number of quads."""
    channels, count, _ = quads.shape
    best: tuple[float, int, Array] | None = None
    for size in range(1, min(count, MOST_QUADS) + 1):
        if count % size:
            continue
        outliers = find_outliers(quads.reshape(channels * count // size, -1)).reshape(quads.shape)
        # Instructions on RISC-V: 37 a word of four channels, 16 a group, 10 an outlier, and 30 for its bytes of flash.
        cost = 37 * quads.size / 16 + 16 * quads.size / 16 / size + 40 * int(outliers.sum())
        if best is None or cost < best[0]:
            best = cost, size, outliers
    assert best is not None
    return best[1], best[2]


def find_outliers(groups: Array) -> Array:
    """The largest weights of each row, as few as must be zero so that the rest fit a lane: bool, as shaped."""
    order = np.argsort(-np.abs(groups.astype(np.int64)), axis=1, kind="stable")
    outliers = np.zeros(groups.shape, bool)
    for rank in range(groups.shape[1]):
        wrong = np.flatnonzero(~fits_lane(np.where(outliers, 0, groups)))
        if not len(wrong):
            break
        outliers[wrong, order[wrong, rank]] = True
    return outliers


def scratch(quads: Array, group: int, piece: int) -> int:
    """Bytes of packed inputs, and of the sums of all channels if they are kept from piece to piece."""
    channels, count, _ = quads.shape
    return 4 * (2 * piece + piece // group + (-(-channels // CHANNELS) * CHANNELS if piece < count else 0))


def piece_size(quads: Array, group: int) -> int:
    """Quads packed at a time: what needs the least scratch of all pieces that are not too short."""
    count = quads.shape[1]
    sizes = [n for n in range(group, count + 1, group) if count % n == 0 and n >= min(LEAST_PIECE, count)]
    return min(sizes, key=lambda n: scratch(quads, group, n))


def listed(quads: Array, outliers: Array) -> Array:
    """The words of outliers, by groups of four channels, with -1 behind each group; no groups if there are none."""
    words: list[int] = []
    for first in range(0, len(quads) if outliers.any() else 0, CHANNELS):
        for channel, quad, k in np.argwhere(outliers[first : first + CHANNELS]).tolist():
            weight = int(quads[first + channel, quad, k]) & 0xFF
            words.append((quad * QUAD + k) << 10 | channel << 8 | weight)
        words.append(-1)
    return np.array(words or [-1], np.int32)


def packed(quads: Array) -> Array:
    """[channels, quads, 4] -> int32 [groups of channels][quads][channels in the group]."""
    channels, count, _ = quads.shape
    full = np.zeros((-(-channels // CHANNELS) * CHANNELS, count, QUAD), np.int64)
    full[:channels] = quads
    raised = full + 128
    words = raised[..., 0] | raised[..., 2] << 8 | raised[..., 1] << 16 | raised[..., 3] << 24
    ordered = words.reshape(-1, CHANNELS, count).transpose(0, 2, 1).reshape(-1)
    return np.ascontiguousarray(ordered.astype(np.uint32).view(np.int32))
