"""Requantization by two multiplications of 32 bits into 32.

An accumulator a is counted from the first one whose output is not the least, and outputs beyond the last threshold are
the greatest. Between them lies

    y = (a * m1 + (a * m0 >> 13) + c) >> 24 = (floor(a * m / 2^13) + c) >> 24,   m = m1 * 2^13 + m0

modulo 2^32, the low limit included in c. Where the zero point lies between the limits the line may have a kink: below
an accumulator of zero, `drop` is added to c. A channel that has no such constants keeps TFLite's own, behind the
others, and computes as the portable kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import fixed
from ...graph import Array
from ...ops._quantized import clamp_limits
from ...ops._weighted import Weighted, folded_bias
from ...ops.base import Call
from .._thresholds import FAR, Ints, Staircase, around
from ..word._scales import reach

LOW_BITS = 13  # of the multiplier; the others are a factor of their own
LAST_BITS = 32 - LOW_BITS  # of the last accumulator, which shares a word with the multiplier's low bits
FRACTION = 24  # bits below the output
TRIES = 300
STRAIGHT_TRIES = 12  # where outputs lie on both sides of the zero point, one line rarely serves


@dataclass(frozen=True)
class Splits:
    """Constants of the form, int64 [channels]; m is 0 where there is none. Accumulators begin at `base`."""

    base: Ints
    last: Ints  # the largest accumulator, from base on, that the form serves
    m: Ints
    c: Ints
    drop: Ints

    @classmethod
    def none(cls, count: int) -> Splits:
        return cls(*(np.zeros(count, np.int64) for _ in range(5)))

    def take(self, where: Ints, other: Splits) -> None:
        """Sets the channels `where` to the given ones."""
        for name in ("base", "last", "m", "c", "drop"):
            getattr(self, name)[where] = getattr(other, name)

    def of(self, where: Ints) -> Splits:
        return Splits(self.base[where], self.last[where], self.m[where], self.c[where], self.drop[where])

    def outputs(self, acc: Ints, stairs: Staircase) -> Ints:
        """The form, evaluated as the kernel does it: [channels, any] -> outputs less `low`."""
        m, word = self.m[:, None], 2**32 - 1
        a = acc - self.base[:, None]
        inside = np.clip(a, 0, self.last[:, None])
        total = inside * (m >> LOW_BITS) + ((inside * (m % 2**LOW_BITS) & word) >> LOW_BITS) + self.c[:, None]
        total += np.where(a < -self.base[:, None], self.drop[:, None], 0)
        y = ((total & word) >> FRACTION) - stairs.low % 256
        return np.where(a < 0, 0, np.where(a > self.last[:, None], stairs.steps, y % 256))


def find_splits(stairs: Staircase, kinked: bool, tries: int = TRIES) -> Splits:
    """Constants for as many channels as have some; each is proved."""
    found = Splits.none(len(stairs.multiplier))
    flat = constant(stairs)
    found.take(np.flatnonzero(flat.m), flat.of(np.flatnonzero(flat.m)))
    left = np.flatnonzero(stairs.regular & (found.m == 0))
    for index in range(tries if stairs.steps else 0):
        if not len(left):
            break
        part = stairs.of(left)
        some = attempt(part, around(index), kinked)
        done = some.m > 0
        found.take(left[done], some.of(np.flatnonzero(done)))
        left = left[~done]
    return found


def constant(stairs: Staircase) -> Splits:
    """Constants for channels that have the same output at both ends of what they can reach, and thus everywhere."""
    last = stairs.highest - stairs.lowest
    flat = (stairs.lowest >= fixed.INT32_MIN) & (stairs.highest <= fixed.INT32_MAX) & (last < 2**LOW_BITS)
    ends = np.where(flat, np.stack([stairs.lowest, stairs.highest]), 0).T
    y = stairs.outputs(ends)
    m, none = (flat & (y[:, 0] == y[:, 1])) << LOW_BITS, np.zeros_like(last)
    c = ((stairs.low + y[:, 0]) % 256) << FRACTION
    return proved(stairs, Splits(ends[:, 0], np.where(m > 0, last, 0), m, c, none), ends)


def attempt(stairs: Staircase, index: int, kinked: bool) -> Splits:
    """Tries the multiplier that lies `index` steps from the real one."""
    thresholds = stairs.thresholds()
    base = np.maximum(thresholds[:, 0], stairs.lowest)
    last = np.maximum(np.minimum(thresholds[:, -1] - 1, stairs.highest) - base, 0)
    exact = stairs.multiplier << np.maximum(0, FRACTION + LOW_BITS - 31 + stairs.shift)
    exact >>= np.maximum(0, 31 - FRACTION - LOW_BITS - stairs.shift)
    # Steps that move the last threshold by about a sixth of an accumulator.
    m = exact + index * np.maximum(1, exact // (6 * (last + 1)))
    possible = (m >= 2**LOW_BITS) & (m < 2 ** (31 + LOW_BITS)) & (last < 2**LAST_BITS)
    possible &= (stairs.highest - base < 2**31) & (stairs.lowest - base >= -(2**31))
    m, last = np.where(possible, m, 1), np.where(possible, last, 0)
    possible &= last * (m % 2**LOW_BITS) < 2**32
    first_above = np.where(kinked, np.clip(-base, 0, last + 1), 0)
    c, fits = offset(thresholds - base[:, None], first_above, last, m)
    below, fits_below = offset(thresholds - base[:, None], np.zeros_like(last), first_above - 1, m)
    possible &= fits & (fits_below | (first_above == 0))
    c = np.where(first_above > last, below, c)
    drop = np.where(first_above > 0, below - c, 0)
    splits = Splits(base, last, np.where(possible, m, 0), c + ((stairs.low % 256) << FRACTION), drop)
    return proved(stairs, splits, stairs.witnesses())


def offset(thresholds: Ints, first: Ints, last: Ints, m: Ints) -> tuple[Ints, Array]:
    """A c for the accumulators from `first` to `last`, counted from the base, and whether there is one."""
    first, last, m = first[:, None], last[:, None], m[:, None]
    goals = np.arange(1, thresholds.shape[1] + 1, dtype=np.int64) << FRACTION
    at, before = np.maximum(thresholds, first), np.minimum(thresholds - 1, last)
    least = np.where(at <= last, goals - (at * m >> LOW_BITS), -FAR).max(axis=1)
    most = np.where(before >= first, goals - 1 - (before * m >> LOW_BITS), FAR).min(axis=1)
    # The greatest output never is the form's, so that there is always an upper bound but where nothing is asked for.
    middle = np.where(least == -FAR, most, np.where(most == FAR, least, (least + most) // 2))
    return np.where(np.abs(middle) == FAR, 0, middle), least <= most


def proved(stairs: Staircase, splits: Splits, points: Ints) -> Splits:
    """The constants that equal the reference at every point [channels, any]; the others are taken back."""
    some = np.flatnonzero(splits.m)
    part, mine = stairs.of(some), splits.of(some)
    # The form is cut at its base and at its last accumulator: it must be right on both sides of the cuts, too.
    cuts = np.stack([mine.base - 1, mine.base, mine.base + mine.last, mine.base + mine.last + 1], axis=1)
    points = np.concatenate([points[some], np.clip(cuts, part.lowest[:, None], part.highest[:, None])], axis=1)
    right = (mine.outputs(points, part) == part.outputs(points)).all(axis=1)
    m = np.zeros_like(splits.m)
    m[some[right]] = splits.m[some[right]]
    return Splits(splits.base, splits.last, m, splits.c, splits.drop)


@dataclass(frozen=True)
class Scales:
    """Records of all channels as the kernels read them: int32, `words` a channel, exact channels' constants behind.

    Four words: the bias less the base; the last accumulator and, in the upper bits, m0; m1; c. Six, if kinked: then the
    first accumulator that is not negative, counted from the base, and drop. m1 = 0: the channel has no such constants,
    and the first word is the index of its (bias, multiplier, shift).
    """

    records: Array
    words: int
    low: int
    high: int
    some_exact: bool  # whether there are channels without such constants


def scales(op: Weighted, call: Call, excess: int | Ints) -> Scales:
    """The records of a layer with weights, whose kernel's sums are too large by `excess` (of each channel)."""
    bias, stairs = staircase(op, call)
    splits, words = cheapest(stairs)
    records = as_records(bias - excess - splits.base, splits)[:, :words]
    exact = np.flatnonzero(splits.m == 0)
    records[exact, 0] = records.size + 3 * np.arange(len(exact))
    behind = np.stack([fixed.wrap32((bias - excess)[exact]), stairs.multiplier[exact], stairs.shift[exact]], axis=1)
    every = fixed.wrap32(np.concatenate([records.reshape(-1), behind.reshape(-1)])).astype(np.int32)
    return Scales(every, words, stairs.low, stairs.high, bool(len(exact)))


def common_scales(op: Weighted, call: Call) -> Scales:
    """The records of a layer whose channels may share a scale: then of one word each, the others behind all of them."""
    bias, stairs = staircase(op, call)
    one = Staircase(
        stairs.multiplier[:1], stairs.shift[:1], stairs.lowest.min(keepdims=True), stairs.highest.max(keepdims=True),
        stairs.zero, stairs.low, stairs.high,
    )  # fmt: skip
    same = (stairs.multiplier == one.multiplier).all() and (stairs.shift == one.shift).all()
    splits, _ = cheapest(one)
    if not same or not splits.m.all():
        return scales(op, call, 0)
    shared = as_records(splits.base, splits)[0, 1:]
    every = fixed.wrap32(np.concatenate([bias - splits.base, shared])).astype(np.int32)
    return Scales(every, 1, stairs.low, stairs.high, False)


def staircase(op: Weighted, call: Call) -> tuple[Ints, Staircase]:
    """(biases, how all channels requantize)"""
    low, high = clamp_limits(call)
    bias, (lowest, highest) = folded_bias(op, call).astype(np.int64), reach(op, call)
    multiplier, shift = np.array(op.multipliers(call), np.int64).T
    return bias, Staircase(
        multiplier, shift, bias + lowest, bias + highest, call.y.zero_point, min(low, high), high
    )  # fmt: skip


def cheapest(stairs: Staircase) -> tuple[Splits, int]:
    """(constants, words of a record): kinked only where that serves more channels."""
    both_sides = stairs.low < stairs.zero
    splits = find_splits(stairs, kinked=False, tries=STRAIGHT_TRIES if both_sides else TRIES)
    if both_sides and not splits.m.all():
        other = find_splits(stairs, kinked=True)
        if np.count_nonzero(other.m) > np.count_nonzero(splits.m):
            return other, 6
    return splits, 4


def as_records(first: Ints, splits: Splits) -> Ints:
    """int64 [channels, 6] with the given first words."""
    ranges = splits.last + ((splits.m % 2**LOW_BITS) << LAST_BITS)
    return np.stack([first, ranges, splits.m >> LOW_BITS, splits.c, -splits.base, splits.drop], axis=1)
