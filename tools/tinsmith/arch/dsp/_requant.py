"""Requantization with one long multiply on cores with SMMLA, exact by proof.

TFLite rounds twice: x1 = floor((a*m + 2^30) / 2^31), then x1 / 2^r rounded half away from zero. Floors nest, so with
C = 2^(r-1) + zero * 2^r the two steps and the output's zero point are

    floor((a*m + 2^30 + (C - s) * 2^31) / 2^(31+r)),   s = 1 if a < 0 else 0.

Doubled, the numerator is SMMLAR(2a, m, C - s): the signed form. s only matters for results up to the zero point; with
a fused ReLU, whose low limit is there, it is left out. Then there is a fast form with the same shift for all channels:
times 256, the numerator is SMMLA(256a, M, ...) with M = m / 2^(r + 7 - FAST_SHIFT), which loses some bits, but
hardly ever a threshold.

Reference and formula both rise with a. If they agree on both sides of every threshold of the reference within the
accumulator's range, and at its ends, they agree everywhere: that is what `proved` checks, channel by channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ... import fixed
from ...graph import Array

MOST_SHIFT = 16  # of the signed form, so that sums stay well inside 32 bits
FAST_SHIFT = 12  # that of blocks.S and dense.S
FAST_LIMIT = 2**23  # 256 times the accumulator must fit 32 bits
Formula = Callable[[Array], Array]


@dataclass(frozen=True)
class Scaling:
    """How int32 accumulators of n channels become int8. Arrays are int64 [n]; `lo` and `hi` bound the accumulators."""

    multiplier: Array
    shift: Array
    zero: int
    low: int
    high: int
    lo: Array
    hi: Array

    def reference(self, acc: Array) -> Array:
        """The outputs of accumulators [n, any]."""
        y = fixed.requantize(acc, self.multiplier[:, None], self.shift[:, None]) + self.zero
        return self.clamp(y)

    @property
    def rises(self) -> Array:
        """bool [n]: whether neither accumulators nor what a left shift makes of them can wrap."""
        most = np.maximum(np.abs(self.lo), np.abs(self.hi))
        fits: Array = most < np.int64(2**31) >> np.clip(self.shift, 0, 31)
        return fits

    def clamp(self, y: Array) -> Array:
        return np.minimum(np.maximum(y, self.low), self.high)


@dataclass(frozen=True)
class Stage:
    """Constants of one form, int64 [n]. `exact` [n]: proved for the channel's whole range; elsewhere nothing holds."""

    multiplier: Array
    constant: Array
    right: Array
    exact: Array


def smmla(a: Array, b: Array, c: Array | int) -> Array:
    """c + the high half of a*b."""
    return fixed.wrap32(((a * b) >> 32) + c)


def smmlar(a: Array, b: Array, c: Array | int) -> Array:
    """c + the high half of a*b, rounded half up."""
    return fixed.wrap32(((a * b + 2**31) >> 32) + c)


def accumulator_range(weights: Array, bias: Array) -> tuple[Array, Array]:
    """(least, greatest) bias + sum of w * x over all int8 x, for weights [n, k] and bias [n]; int64, unwrapped."""
    w = weights.astype(np.int64)
    above, below = np.maximum(w, 0).sum(axis=1), np.minimum(w, 0).sum(axis=1)
    b = bias.astype(np.int64)
    return b - 128 * above + 127 * below, b + 127 * above - 128 * below


def thresholds(s: Scaling) -> Array:
    """[n, 255]: the least accumulator whose unclamped output is at least v, for v = -127 .. 127 in order.

    For right shifts up to 22 and multipliers above 0; elsewhere meaningless.
    """
    right = np.clip(-s.shift, 0, 22)[:, None]
    steps = np.arange(-127, 128)[None, :] - s.zero  # outputs less the zero point
    ties = (steps << right) - ((np.int64(1) << right) >> 1)
    ties = ties + ((steps <= 0) & (right > 0))  # half away from zero: below it a tie is not yet enough
    found: Array = -((2**30 - (ties << 31)) // np.maximum(s.multiplier, 1)[:, None])
    return found


def proved(formula: Formula, s: Scaling) -> Array:
    """bool [n]: whether a rising formula gives the clamped outputs of accumulators [n, any], all of lo .. hi."""
    least, most = s.lo[:, None], s.hi[:, None]
    ends = np.concatenate([least, most], axis=1)
    expected = s.reference(fixed.wrap32(ends))
    constant = expected[:, 0] == expected[:, 1]
    same: Array = (s.clamp(formula(ends)) == expected).all(axis=1) & s.rises
    at = thresholds(s)
    wanted = np.broadcast_to(np.arange(-127, 128), at.shape)
    reached, missed = np.clip(at, least, most), np.clip(at - 1, least, most)
    above, below = s.reference(reached), s.reference(missed)
    # The closed form found the reference's own thresholds, wherever they lie in the range and in the limits.
    inside = (wanted > s.low) & (wanted <= s.high)
    right = ((above >= wanted) | (reached == most) & (at > most) | ~inside).all(axis=1)
    right &= ((below < wanted) | (missed == least) & (at <= least) | ~inside).all(axis=1)
    close = (s.clamp(formula(reached)) == above) & (s.clamp(formula(missed)) == below)
    known: Array = same & (constant | (right & close.all(axis=1) & (s.shift <= 0) & (s.shift >= -22)))
    return known


def signed_stage(s: Scaling) -> Stage:
    """The signed form for every channel.

    Channels whose shift or range is out of reach may still never change their output: they need no multiplier, and
    with a multiplier of 0 it does not matter whether sums wrap.
    """
    ends = s.reference(fixed.wrap32(np.stack([s.lo, s.hi], axis=1)))
    usual = (s.shift <= -1) & (s.shift >= -MOST_SHIFT) & (s.lo >= -(2**30)) & (s.hi < 2**30)
    constant = ~usual & (ends[:, 0] == ends[:, 1]) & s.rises
    right = np.where(constant, 1, np.clip(-s.shift, 0, MOST_SHIFT))
    middle = (np.int64(1) << right) >> 1
    made = Stage(
        np.where(constant, 0, s.multiplier),
        np.where(constant, 2 * ends[:, 0] + 1, middle + s.zero * (np.int64(1) << right)),
        right, usual,
    )  # fmt: skip
    return replace(made, exact=constant | (usual & proved(partial(signed_result, made), s)))


def signed_result(t: Stage, a: Array) -> Array:
    """What the kernels compute from accumulators [n, any] below 2^30; of a pair's upper channel, below 2^23."""
    c = t.constant[:, None] - (a < 0)
    found: Array = np.clip(smmlar(2 * a, t.multiplier[:, None], c) >> t.right[:, None], -128, 127)
    return found


def fast_stage(s: Scaling) -> Stage:
    """The fast form for every channel: the multiplier rounded down, or up if only that is right."""
    lost = FAST_SHIFT - 7 + s.shift
    fits = (lost <= 0) & (s.shift > -FAST_SHIFT) & (s.low >= s.zero)
    fits &= (s.lo >= -FAST_LIMIT) & (s.hi < FAST_LIMIT)
    half = np.int64(1) << np.clip(FAST_SHIFT - 1 + s.shift, 0, FAST_SHIFT)  # what is half a unit of x1
    constant = ((np.int64(2) * s.zero + 1) << (FAST_SHIFT - 1)) + half
    right = np.full(len(half), FAST_SHIFT)
    exact, multiplier = np.zeros(len(half), bool), s.multiplier
    for up in (1, 0):
        tried = (s.multiplier >> np.clip(-lost, 0, 31)) + up * (lost < 0)
        made = Stage(tried, constant, right, fits)
        found = fits & proved(partial(fast_result, made), s)
        exact, multiplier = exact | found, np.where(found, tried, multiplier)
    return Stage(multiplier, constant, right, exact)


def fast_result(t: Stage, a: Array) -> Array:
    """What the kernels compute from accumulators [n, any] below 2^23."""
    found: Array = np.clip(smmla(256 * a, t.multiplier[:, None], t.constant[:, None]) >> FAST_SHIFT, -128, 127)
    return found
