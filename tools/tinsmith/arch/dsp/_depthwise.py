"""Geometry and requantization of the depthwise kernel for the DSP extension."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...graph import Array
from ...ops._window import Axis, Window
from ._requant import Scaling, proved, thresholds

GROUP = 4  # channels in a word
TAPS = 3  # the longest side of a window
FAST, AWAY, SLOW, WIDE = 0, 1, 2, 3  # TIN_DW_... in depthwise_lines.h
POINT = {FAST: 16, AWAY: 16, WIDE: 14}  # bits behind the point of a product's high half
SCALE = 13  # sums come times 2^13: data times 2^8, weights times 2^5
TURNS = sorted(range(-48, 49), key=abs)  # what is tried to be added to multipliers


@dataclass(frozen=True)
class Lines:
    """How outputs are grouped into lines. Lines run along one axis and follow each other across it."""

    along: Axis
    across: Axis
    by_column: bool  # lines are columns of the image, not rows
    by_row: bool = False  # lines are rows, and each is finished before the next one begins

    @property
    def pairs(self) -> bool:
        """Whether lines are unpacked in pairs and kept, not in threes for each line of outputs."""
        return self.along.stride == 1 and self.across.stride == 1 and not self.by_row

    def in_place(self) -> bool:
        """Whether outputs may be written where the inputs are, if one call computes all lines.

        With one size of pixels an output only meets inputs of its own channel, and must not meet one of a line that is
        yet to be loaded. What is loaded by then: two pairs of lines, the first that of the window's first line; or
        triples, of which the next line of outputs loads some again.
        """
        lines = np.arange(self.across.out)
        if self.pairs:
            done = lines - lines % 2 - self.across.before + 4
        else:
            done = (lines + 1) * self.across.stride - self.across.before
            done[-1] = self.across.size
        done = np.minimum(done, self.across.size)
        a, b = lines[:, None], np.arange(self.along.out)[None, :]
        if self.by_column:
            met = (b * self.across.out + a) % self.across.size
        else:
            met = (a * self.along.out + b) // self.along.size
        return bool((met < done[:, None]).all())


def lines(window: Window, channels: int) -> Lines | None:
    """The best way through an image that the kernel knows, or None.

    A line may have stride 2 only if its neighbours have too, and columns are shorter than 64 KB a step.
    """
    y, x = alike(window.y, window.x), alike(window.x, window.y)
    if not (within(y) and within(x)):
        return None
    rows, columns = Lines(x, y, False), Lines(y, x, True)
    if x.out * channels > 0xFFFF:
        return rows if x.stride <= y.stride else None
    if x.stride != y.stride:
        return columns if x.stride == 2 else rows
    return columns if y.out > (1 if columns.in_place() else 2) * x.out else rows


def row_lines(window: Window) -> Lines | None:
    """Rows one by one, or None if the kernel cannot."""
    y, x = alike(window.y, window.x), alike(window.x, window.y)
    return Lines(x, y, by_column=False, by_row=True) if within(y) and within(x) else None


def within(axis: Axis) -> bool:
    return axis.kernel <= TAPS and (axis.dilation == 1 or axis.kernel == 1) and axis.stride <= 2


def alike(axis: Axis, other: Axis) -> Axis:
    """The axis, with the other's stride if it has but one output and takes no step."""
    if axis.out > 1:
        return axis
    return replace(axis, stride=other.stride if other.out > 1 else 1)


@dataclass(frozen=True)
class Scales:
    """How each channel is requantized: TIN_DW_... of its kind, and the two constants that go with it, int64 [n]."""

    kind: Array
    multiplier: Array
    start: Array


def scales(s: Scaling, bias: Array) -> Scales:
    """The cheapest way to requantize each channel that equals the reference for all that it can reach.

    FAST and WIDE are a straight line, AWAY two that part at zero, as the second rounding demands below zero; each is
    proved or not used.
    """
    bias = bias.astype(np.int64)
    found = Scales(np.full(len(bias), SLOW), s.multiplier.copy(), bias)
    for kind in (FAST, WIDE):
        found = replaced(found, line_scales(part(s, found.kind == SLOW), bias[found.kind == SLOW], kind))
    return replaced(found, away_scales(part(s, found.kind == SLOW), bias[found.kind == SLOW]))


def part(s: Scaling, chosen: Array) -> Scaling:
    return replace(s, multiplier=s.multiplier[chosen], shift=s.shift[chosen], lo=s.lo[chosen], hi=s.hi[chosen])


def replaced(all_of_them: Scales, slow: Scales) -> Scales:
    """With `slow` in the place of the channels that are SLOW as yet."""
    at = np.flatnonzero(all_of_them.kind == SLOW)
    kind, multiplier, start = all_of_them.kind.copy(), all_of_them.multiplier.copy(), all_of_them.start.copy()
    kind[at], multiplier[at], start[at] = slow.kind, slow.multiplier, slow.start
    return Scales(kind, multiplier, start)


def line_scales(s: Scaling, bias: Array, kind: int) -> Scales:
    """FAST or WIDE with the bias in the rounding constant, for channels that have constants which are exact."""
    bits = POINT[kind]
    multiplier, able = narrowed(s, bits)
    able &= np.maximum(s.hi - bias, bias - s.lo) < np.int64(1) << 31 - SCALE
    start, fits = np.zeros_like(multiplier), np.zeros(len(bias), bool)
    for turns in ([0], TURNS):
        at = np.flatnonzero(able & ~fits)
        for some in np.array_split(at, len(at) * len(turns) // 1024 + 1):
            tried = multiplier[some, None] + turns
            found, good = line_start(part(s, some), bias[some], tried, bits)
            best, lane = good.argmax(axis=1), np.arange(len(some))
            multiplier[some], start[some], fits[some] = tried[lane, best], found[lane, best], good[lane, best]
    fits &= exact(line(bias, multiplier, start, bits), s)
    return Scales(np.where(fits, kind, SLOW), np.where(fits, multiplier, s.multiplier), np.where(fits, start, bias))


def line_start(s: Scaling, bias: Array, multiplier: Array, bits: int) -> tuple[Array, Array]:
    """For multipliers [n, any] the least constants with which no output is too low, and whether then none is too high.

    Outputs reach v where the line reaches v * 2^(32 + bits), which gives a limit to the constant at each threshold.
    """
    least, most, at = s.lo[:, None], s.hi[:, None], thresholds(s)
    steps = np.arange(-127, 128)
    limits = (steps > s.low) & (steps <= s.high)

    def missing(acc: Array) -> Array:
        scaled = (np.clip(acc, least, most) - bias[:, None]) << SCALE
        result: Array = (steps << 32 + bits) - scaled[:, None, :] * multiplier[:, :, None]
        return result

    low = np.where((limits & (at <= most))[:, None], -(-missing(at) >> 32), -(2**31)).max(axis=2)
    high = np.where((limits & (at > least))[:, None], (missing(at - 1) - 1) >> 32, 2**31 - 1).min(axis=2)
    start = np.maximum(low, np.minimum(high, 0))
    return start, (start <= high) & (abs(start) < 2**30) & (multiplier < 2**31)


def line(bias: Array, multiplier: Array, start: Array, bits: int) -> Callable[[Array], Array]:
    """What SMUAD ... SMLAD, SMMLA and SSAT make of accumulators [n, any]."""

    def apply(acc: Array) -> Array:
        scaled = (acc - bias[:, None]) << SCALE
        high = ((start[:, None] << 32) + scaled * multiplier[:, None]) >> 32
        result: Array = np.clip(high >> bits, -128, 127)
        return result

    return apply


def away_scales(s: Scaling, bias: Array) -> Scales:
    """AWAY where it is exact, with the constants of `dw_away`; SLOW elsewhere, and where no output is below zero."""
    multiplier, able = narrowed(s, POINT[AWAY])
    start = rounding(s, POINT[AWAY])[:, None]
    able &= (np.maximum(s.hi, -s.lo) < np.int64(1) << 31 - SCALE) & (s.low < s.zero)
    kink = 0x10000 >> np.clip(-s.shift, 0, 31)[:, None]

    def apply(acc: Array) -> Array:
        high = ((start - np.where(acc < 0, kink, 0) << 32) + (acc << SCALE) * multiplier[:, None]) >> 32
        result: Array = np.clip(high >> POINT[AWAY], -128, 127)
        return result

    right = able & exact(apply, s)
    return Scales(np.where(right, AWAY, SLOW), np.where(right, multiplier, s.multiplier), bias)


def narrowed(s: Scaling, bits: int) -> tuple[Array, Array]:
    """Multipliers that leave `bits` behind the point, and bool [n]: whether there are such."""
    excess = 31 + SCALE - 32 - bits - s.shift  # multipliers have 31 bits behind the point; the product loses 32
    over = np.clip(excess, 0, 31)
    result: Array = (s.multiplier + ((np.int64(1) << over) >> 1)) >> over
    return result, (excess >= 0) & (s.shift <= -1) & (s.shift >= -22) & (result < 2**31)


def rounding(s: Scaling, bits: int) -> Array:
    half = np.int64(1) << bits - 1
    result: Array = s.zero * (np.int64(1) << bits) + half + (half >> np.clip(-s.shift, 0, 31))
    return result


def exact(apply: Callable[[Array], Array], s: Scaling) -> Array:
    """bool [n]: whether a rising formula is right in all the range; SSAT knows no other limits than those of int8."""
    ends = apply(np.stack([s.lo, s.hi], axis=1))
    result: Array = (ends == s.clamp(ends)).all(axis=1) & proved(apply, s)
    return result


def packed_kinds(kind: Array) -> Array:
    """[groups] uint8: two bits a channel, the first lowest."""
    result = np.zeros(-(-len(kind) // GROUP), np.int64)
    for channel, value in zip(lanes(len(kind)), kind.tolist(), strict=True):
        result[channel // GROUP] |= value << 2 * (channel % GROUP)
    return result.astype(np.uint8)


def packed_weights(weights: Array, by_column: bool) -> Array:
    """Weights [kernel_h, kernel_w, channels] as [channels][3 along][w0 w1 w1 w2 across], zeros where there are none."""
    taps = weights if by_column else weights.transpose(1, 0, 2)
    result = np.zeros((weights.shape[2], TAPS, TAPS), np.int8)
    result[:, : taps.shape[0], : taps.shape[1]] = taps.transpose(2, 0, 1)
    return np.ascontiguousarray(result[:, :, [0, 1, 1, 2]])


def lanes(channels: int) -> list[int]:
    """The place of each channel. The last group ends at the last channel, and its first places stay empty."""
    empty = -channels % GROUP if channels > GROUP else 0
    whole = channels // GROUP * GROUP if empty else channels
    return [channel if channel < whole else channel + empty for channel in range(channels)]
