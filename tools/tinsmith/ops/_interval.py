"""What values the channels of a tensor can take: sound bounds, for every input that a model may get."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import fixed
from ..graph import Array, Tensor


@dataclass(frozen=True, eq=False)
class Interval:
    """Closed bounds on the quantized values of each channel (last dimension), int64 [channels].

    They hold at every pixel, those at borders too. Bounds may be wider than what can occur, never narrower.
    """

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Which channels have one value only, at all pixels; bool [channels]."""
        return np.asarray(self.low == self.high)

    @classmethod
    def whole(cls, tensor: Tensor) -> Interval | None:
        """All values of the tensor's type; None for types that are no bytes, about which nothing is said."""
        if tensor.dtype.kind not in "iu" or tensor.dtype.itemsize != 1:
            return None
        info, count = np.iinfo(tensor.dtype), channel_count(tensor.shape)
        return cls(np.full(count, info.min, np.int64), np.full(count, info.max, np.int64))

    @classmethod
    def of_values(cls, data: Array) -> Interval:
        """The least and the greatest value of each channel of a constant."""
        rows = data.astype(np.int64).reshape(-1, channel_count(data.shape))
        return cls(rows.min(axis=0), rows.max(axis=0))

    def union(self, other: Interval | int) -> Interval:
        """Bounds on values that come from either side."""
        if isinstance(other, int):
            return Interval(np.minimum(self.low, other), np.maximum(self.high, other))
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def regrouped(self, count: int) -> Interval:
        """Bounds on the same elements, in the same order, with `count` of them in the last dimension."""
        own = len(self.low)
        if count % own == 0:
            return Interval(np.tile(self.low, count // own), np.tile(self.high, count // own))
        if own % count == 0:
            return Interval(self.low.reshape(-1, count).min(axis=0), self.high.reshape(-1, count).max(axis=0))
        return Interval(np.full(count, self.low.min()), np.full(count, self.high.max()))

    def through(self, table: Array) -> Interval:
        """Bounds on what a table of 256 bytes, indexed by byte, makes of the values."""
        low, high = np.empty_like(self.low), np.empty_like(self.high)
        pairs, where = np.unique(np.stack([self.low, self.high]), axis=1, return_inverse=True)
        for i, (first, last) in enumerate(pairs.T):
            reached = table[np.arange(first, last + 1) & 0xFF].astype(np.int64)
            low[where.reshape(-1) == i], high[where.reshape(-1) == i] = reached.min(), reached.max()
        return Interval(low, high)


def channel_count(shape: tuple[int, ...]) -> int:
    """Size of the last dimension; a scalar has one channel."""
    return shape[-1] if shape else 1


def in_order(low: Array, high: Array, shift: Array | int) -> Array:
    """Where fixed.requantize keeps the order of all x with low <= x <= high: where x fits an int32 and its
    shift to the left neither, with room for a zero point. Beyond, values wrap around."""
    left = np.maximum(shift, 0)
    return np.asarray((low >= (fixed.INT32_MIN + 256) >> left) & (high <= (fixed.INT32_MAX - 256) >> left))
