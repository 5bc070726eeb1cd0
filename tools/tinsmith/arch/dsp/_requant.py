"""Requantization with one long multiply on cores with SMMLA, exact by proof.

TFLite rounds twice: x1 = floor((a*m + 2^30) / 2^31), then x1 / 2^r rounded half away from zero. Floors nest, so with
C = 2^(r-1) + zero * 2^r the two steps and the output's zero point are

    floor((a*m + 2^30 + (C - s) * 2^31) / 2^(31+r)),   s = 1 if a < 0 else 0.

Doubled, the numerator is SMMLAR(2a, m, C - s): the signed form. s only matters for results up to the zero point; with
a fused ReLU, whose low limit is there, it is left out. Then there are fast forms with the same shift for all channels.
Times 256, as sums of a pair's upper channel are, the numerator is SMMLA(256a, M, ...) with
M = m / 2^(r + 7 - UPPER_SHIFT), which loses some bits, but hardly ever a threshold. Sums of the lower channel stay as
they are: SMMLA(a + e, M, c) has 8 bits less for the constant, too few to tell thresholds apart. But e, which the bias
takes along, adds multiples of M, and some small multiple, less whole units of c, is as close as needed to any value.

Reference and formula both rise with a. If they agree on both sides of every threshold of the reference within the
accumulator's range, and at its ends, they agree everywhere: that is what `proved` checks, channel by channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from ... import fixed
from ...graph import Array

MOST_SHIFT = 16  # of the signed form, so that sums stay well inside 32 bits
UPPER_SHIFT = 12  # of the fast forms, in blocks.S and dense.S
LOWER_SHIFT = UPPER_SHIFT - 8
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
    extra: Array  # what the accumulator is to be greater by
    exact: Array


Result = Callable[[Stage, Array], Array]  # what a stage makes of accumulators [n, any]


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
        right, np.zeros_like(right), usual,
    )  # fmt: skip
    return replace(made, exact=constant | (usual & proved(partial(signed_result, made), s)))


def signed_result(t: Stage, a: Array) -> Array:
    """What the kernels compute from accumulators [n, any] below 2^30; of a pair's upper channel, below 2^23."""
    c = t.constant[:, None] - (a < 0)
    found: Array = np.clip(smmlar(2 * a, t.multiplier[:, None], c) >> t.right[:, None], -128, 127)
    return found


def shares_fast_forms(s: Scaling) -> Array:
    """bool [n]: whether shift and range allow the fast forms at all."""
    fits: Array = (s.shift > -UPPER_SHIFT) & (s.shift <= 7 - UPPER_SHIFT) & (s.lo >= -FAST_LIMIT) & (s.hi < FAST_LIMIT)
    return fits & (s.low >= s.zero)


def fast_stage(s: Scaling, complete: Callable[[Scaling, Array], Stage], result: Result) -> Stage:
    """A fast form, `complete` for a multiplier that is rounded down, or up if only that is right."""
    lost = np.clip(UPPER_SHIFT - 7 + s.shift, -31, 0)
    fits = shares_fast_forms(s)
    up, down = (complete(s, (s.multiplier >> -lost) + more * (lost < 0)) for more in (1, 0))
    up, down = (replace(t, exact=t.exact & fits & proved(partial(result, t), s)) for t in (up, down))
    best = [np.where(down.exact, getattr(down, f.name), getattr(up, f.name)) for f in fields(Stage)]
    return Stage(*best)


def upper_stage(s: Scaling) -> Stage:
    """The fast form of a pair's upper channel."""
    return fast_stage(s, complete_upper, upper_result)


def complete_upper(s: Scaling, multiplier: Array) -> Stage:
    half = np.int64(1) << np.clip(UPPER_SHIFT - 1 + s.shift, 0, UPPER_SHIFT)  # what is half a unit of x1
    constant = ((np.int64(2) * s.zero + 1) << (UPPER_SHIFT - 1)) + half
    none = np.zeros_like(half)
    return Stage(multiplier, constant, none + UPPER_SHIFT, none, none == 0)


def upper_result(t: Stage, a: Array) -> Array:
    """What the kernels compute from accumulators [n, any] below 2^23."""
    found: Array = np.clip(smmla(256 * a, t.multiplier[:, None], t.constant[:, None]) >> UPPER_SHIFT, -128, 127)
    return found


def lower_stage(s: Scaling) -> Stage:
    """The fast form of a pair's lower channel."""
    return fast_stage(s, complete_lower, lower_result)


def complete_lower(s: Scaling, multiplier: Array) -> Stage:
    """e and c of every channel: between them, e*M + c*2^32 must put each threshold between its neighbours.

    All thresholds within the output's limits count, so that channels of one scale get the same constants.
    """
    unit, one = np.int64(1) << 32, np.int64(1) << (32 + LOWER_SHIFT)  # of c, and of the output
    wanted = np.arange(-127, 128)
    inside = (wanted > s.low) & (wanted <= s.high)
    least = (wanted * one - thresholds(s) * multiplier[:, None])[:, inside]
    low, high = least.max(axis=1, initial=-128 * one), least.min(axis=1, initial=128 * one) + multiplier - 1
    usual = shares_fast_forms(s) & (low <= high) & (multiplier > 0)
    extra = np.zeros_like(low)
    for i in np.flatnonzero(usual):
        start = int(low[i] % unit)
        found = least_multiple(int(multiplier[i]), int(unit), start, start + int(high[i] - low[i]))
        usual[i] = found is not None and found < FAST_LIMIT
        extra[i] = found if usual[i] else 0
    constant = -((extra * multiplier - low) // unit)  # rounded up
    return Stage(multiplier, constant, np.full_like(extra, LOWER_SHIFT), extra, usual)


def least_multiple(step: int, modulus: int, low: int, high: int) -> int | None:
    """The least k >= 0 for which k * step, modulo `modulus`, is in [low, high] modulo `modulus`; None if there is none.

    0 <= low < modulus. As in Euclid's algorithm, the problem becomes one of step and a smaller modulus.
    """
    if low == 0 or high >= modulus:
        return 0
    step %= modulus
    if step == 0:
        return None
    direct = -(-low // step)
    if direct * step <= high:
        return direct
    wraps = least_multiple(modulus, step, -high % step, -high % step + high - low)
    return None if wraps is None else -(-(low + modulus * wraps) // step)


def lower_result(t: Stage, a: Array) -> Array:
    """What the kernels compute from accumulators [n, any] below 2^23."""
    moved = a + t.extra[:, None]
    found: Array = np.clip(smmla(moved, t.multiplier[:, None], t.constant[:, None]) >> LOWER_SHIFT, -128, 127)
    return found
