"""Geometry and requantization of the depthwise kernel for the DSP extension."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...graph import Array
from ...ops._window import Axis, Window
from ._requant import Scaling, proved

GROUP = 4  # channels in a word
TAPS = 3  # the longest side of a window
FAST, AWAY, SLOW = 0, 1, 2  # TIN_DW_... in depthwise_lines.h
DATA_BITS = 8  # data come times 2^8
UP = 9  # a final shift of r leaves weights times 2^(9 - r)


@dataclass(frozen=True)
class Lines:
    """How outputs are grouped into lines. Lines run along one axis and follow each other across it."""

    along: Axis
    across: Axis
    by_column: bool  # lines are columns of the image, not rows

    def in_place(self) -> bool:
        """Whether outputs may be written where the inputs are, if one call computes all lines.

        With one size of pixels an output only meets inputs of its own channel, and must not meet one of a line that is
        yet to be loaded. What is loaded by then: two pairs of lines, the first that of the window's first line.
        """
        lines = np.arange(self.across.out)
        first = (lines - lines % 2 if self.across.stride == 1 else 2 * lines) - self.across.before
        loaded = np.minimum(first + 4, self.across.size)
        a, b = lines[:, None], np.arange(self.along.out)[None, :]
        if self.by_column:
            met = (b * self.across.out + a) % self.across.size
        else:
            met = (a * self.along.out + b) // self.along.size
        return bool((met < loaded[:, None]).all())


def lines(window: Window, channels: int) -> Lines | None:
    """The best way through an image that the kernel knows, or None.

    A line may have stride 2 only if its neighbours have too, and columns are shorter than 64 KB a step.
    """
    y, x = alike(window.y, window.x), alike(window.x, window.y)
    if not all(a.kernel <= TAPS and (a.dilation == 1 or a.kernel == 1) and a.stride <= 2 for a in (y, x)):
        return None
    rows, columns = Lines(x, y, False), Lines(y, x, True)
    if x.out * channels > 0xFFFF:
        return rows if x.stride <= y.stride else None
    if x.stride != y.stride:
        return columns if x.stride == 2 else rows
    return columns if y.out > (1 if columns.in_place() else 2) * x.out else rows


def alike(axis: Axis, other: Axis) -> Axis:
    """The axis, with the other's stride if it has but one output and takes no step."""
    if axis.out > 1:
        return axis
    return replace(axis, stride=other.stride if other.out > 1 else 1)


def narrowed(s: Scaling) -> Array:
    """Multipliers as the fast ways read them: shifts below -9 take their excess from them."""
    excess = np.maximum(-s.shift - UP, 0)
    result: Array = (s.multiplier + ((np.int64(1) << excess) >> 1)) >> excess
    return result


def kinds(s: Scaling) -> Array:
    """The cheapest way to requantize each channel that equals the reference for all that it can reach.

    FAST is a straight line, AWAY two that part at zero, as the second rounding demands below zero; either is proved
    or not used.
    """
    multiplier, right = narrowed(s)[:, None], -s.shift[:, None]
    up = DATA_BITS + np.maximum(UP - right, 0)
    most = np.maximum(s.hi, -s.lo)[:, None]
    able = ((right >= 1) & (most < np.int64(1) << (31 - np.clip(up, 0, 31))) & (multiplier < 2**31))[:, 0]

    def formula(away: bool) -> Callable[[Array], Array]:
        def apply(acc: Array) -> Array:
            """SMMLA and SSAT with the constants of tin_dw_unpack_channel."""
            rounding = s.zero * 65536 + 0x8000 + (0x8000 >> np.maximum(right, 0))
            kink = np.where(acc < 0, 0x10000 >> np.maximum(right, 0), 0) if away else 0
            high = (((rounding - kink) << 32) + (acc << up) * multiplier) >> 32
            result: Array = np.clip(high >> 16, -128, 127)
            return result

        return apply

    def right_with(away: bool) -> Array:
        ends = formula(away)(np.stack([s.lo, s.hi], axis=1))
        # SSAT knows no other limits than those of int8.
        unclamped: Array = (ends == s.clamp(ends)).all(axis=1)
        result: Array = able & unclamped & proved(formula(away), s)
        return result

    return np.where(right_with(False), FAST, np.where(right_with(True), AWAY, SLOW))


def packed_kinds(kind: Array) -> Array:
    """[groups] uint8: two bits a channel, the first lowest."""
    result = np.zeros(-(-len(kind) // GROUP), np.int64)
    for channel, value in zip(lanes(len(kind)), kind.tolist(), strict=True):
        result[channel // GROUP] |= value << 2 * (channel % GROUP)
    return result.astype(np.uint8)


def packed_weights(weights: Array, by_column: bool) -> Array:
    """Weights [kernel_h, kernel_w, channels] as [groups][3 along][3 across][4 channels], zeros where there are none."""
    taps = weights if by_column else weights.transpose(1, 0, 2)
    channels = weights.shape[2]
    result = np.zeros((-(-channels // GROUP) * GROUP, TAPS, TAPS), np.int8)
    result[lanes(channels), : taps.shape[0], : taps.shape[1]] = taps.transpose(2, 0, 1)
    return np.ascontiguousarray(result.reshape(-1, GROUP, TAPS, TAPS).transpose(0, 2, 3, 1))


def lanes(channels: int) -> list[int]:
    """The place of each channel. The last group ends at the last channel, and its first places stay empty."""
    empty = -channels % GROUP if channels > GROUP else 0
    whole = channels // GROUP * GROUP if empty else channels
    return [channel if channel < whole else channel + empty for channel in range(channels)]
