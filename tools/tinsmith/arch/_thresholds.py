"""Requantization as a staircase, and cheap integer forms that climb the same stairs.

`clamp(zero + requantize(acc))` grows with the accumulator and takes at most 256 values, so it is known by its
thresholds: the least accumulator of each output. Any other growing function that steps at the same integers is the
same function, and some cost a few instructions. Their constants are searched here, when a model is compiled, and every
solution is proved: the form and the reference are compared on both sides of every threshold and at the ends of what
the accumulator can reach, and between two such points neither changes.

Double rounding treats negative accumulators differently from others: one unit of the intermediate result is missing.
A form is thus a straight line, or two lines that part at zero ("kinked").
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import fixed

Ints = fixed.Ints

MOST_SHIFT = 22  # shifts to the right beyond it would overflow the search, and nearly all outputs are equal then
FAR = np.int64(1) << 60  # beyond every threshold and every constant


@dataclass(frozen=True)
class Staircase:
    """How some channels of a layer requantize. Arrays are int64 [channels].

    Accumulators lie in [lowest, highest], the bias included; outputs are zero + requantize(acc), clamped to
    [low, high].
    """

    multiplier: Ints
    shift: Ints
    lowest: Ints
    highest: Ints
    zero: int
    low: int
    high: int

    @property
    def steps(self) -> int:
        """Outputs above the least one."""
        return self.high - self.low

    @property
    def regular(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which channels have thresholds: no left shift, no multiplier of zero, accumulators that do not wrap."""
        fits = (self.lowest >= fixed.INT32_MIN) & (self.highest <= fixed.INT32_MAX)
        found: np.ndarray[tuple[int], np.dtype[np.bool_]]
        found = (self.shift <= 0) & (self.shift >= -MOST_SHIFT) & (self.multiplier > 0) & fits
        return found

    def of(self, channels: Ints) -> Staircase:
        """The same for some of the channels, given by their indices."""
        names = ("multiplier", "shift", "lowest", "highest")
        return replace(self, **{name: getattr(self, name)[channels] for name in names})

    def thresholds(self) -> Ints:
        """[channels, steps]: the least accumulator whose output is at least low + 1 + step. Regular channels only."""
        right = -self.shift[:, None]
        wanted = np.arange(self.low + 1, self.high + 1, dtype=np.int64)[None, :] - self.zero
        # The final shift rounds half away from zero: half a unit is added, but to negative numbers one bit less.
        halves = (wanted << right) - np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
        middle = halves + ((halves < 0) & (right > 0))
        return -((np.int64(2**30) - (middle << 31)) // self.multiplier[:, None])

    def outputs(self, acc: Ints) -> Ints:
        """Outputs less `low` for accumulators [channels, any]: the reference."""
        y = self.zero + fixed.requantize(acc, self.multiplier[:, None], self.shift[:, None])
        clamped: Ints = np.minimum(np.maximum(y, self.low), self.high) - self.low
        return clamped

    def witnesses(self) -> Ints:
        """[channels, points]: accumulators on which a form must equal the reference to equal it everywhere."""
        at = self.thresholds()
        ends = np.stack([self.lowest, self.highest, np.zeros_like(self.lowest), np.full_like(self.lowest, -1)], axis=1)
        points = np.concatenate([at, at - 1, ends], axis=1)
        inside: Ints = np.clip(points, self.lowest[:, None], self.highest[:, None])
        return inside


@dataclass(frozen=True)
class Bounds:
    """What a line must do on a range of accumulators: step u is reached at `at` and not yet at `below`.

    Arrays [channels, steps]; where there is no such accumulator in the range, `at` is FAR or `below` is -FAR.
    """

    at: Ints
    below: Ints

    @classmethod
    def between(cls, thresholds: Ints, first: Ints, last: Ints) -> Bounds:
        """The bounds of a staircase on the accumulators from `first` to `last` (of each channel)."""
        at, below = np.maximum(thresholds, first[:, None]), np.minimum(thresholds - 1, last[:, None])
        return cls(np.where(at <= last[:, None], at, FAR), np.where(below >= first[:, None], below, -FAR))

    def offsets(self, needed: Ints, scale: int) -> tuple[Ints, Ints]:
        """The least and the greatest c [channels] such that scale * acc + c reaches needed[:, u] just at step u."""
        bare = np.full(len(needed), FAR)
        if not needed.shape[1]:
            return -bare, bare
        least = np.where(self.at == FAR, -FAR, needed - scale * np.where(self.at == FAR, 0, self.at)).max(axis=1)
        none = self.below == -FAR
        most = np.where(none, FAR, needed - 1 - scale * np.where(none, 0, self.below)).min(axis=1)
        return least, most


def middle(least: Ints, most: Ints) -> Ints:
    """A value between two bounds, at the one that is finite if only one is; 0 if none is."""
    found = np.where(least == -FAR, most, np.where(most == FAR, least, (least + most) // 2))
    return np.where((least == -FAR) & (most == FAR), 0, found)


def around(index: int) -> int:
    """0, 1, -1, 2, -2, ..."""
    return (index + 1) // 2 * (1 if index % 2 else -1)
