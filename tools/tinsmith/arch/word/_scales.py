"""Requantization by one multiplication whose high half is kept.

    t = (high half of (256 * acc + c) * m) >> (m & 31), clamped to [0, high - low], plus low

The multiplier's lowest five bits are the shift. Channels of a kinked layer use another c below zero. A channel that
has no such constants keeps TFLite's own, behind the others, and computes as the portable kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import fixed
from ...graph import Array
from ...ops._quantized import clamp_limits
from ...ops._weighted import Weighted, folded_bias
from ...ops.base import Call
from .._thresholds import Bounds, Ints, Staircase, around, middle

UNIT = 256  # accumulators are multiplied by this, so that offsets between two of them can be had
TRIES = 400
STRAIGHT_TRIES = 16  # where outputs lie on both sides of the zero point, one line rarely serves
EXACT_LIMIT = 2**23  # sums of products that can be recovered from UNIT times themselves in 32 bits


@dataclass(frozen=True)
class Lines:
    """Constants of the form, one for each channel; m is 0 where there is none. `below` is c for negative acc."""

    m: Ints
    c: Ints
    below: Ints

    def outputs(self, acc: Ints, steps: int) -> Ints:
        """The form, evaluated as the kernel does it: [channels, any] -> outputs less `low`."""
        m = self.m[:, None]
        a = UNIT * acc + np.where(acc < 0, self.below[:, None], self.c[:, None])
        y: Ints = np.clip(((a * m) >> 32) >> (m & 31), 0, steps)
        return y


def find_lines(stairs: Staircase, kinked: bool, tries: int = TRIES) -> Lines:
    """Constants for as many channels as have some; each is proved."""
    count = len(stairs.multiplier)
    m, c, below = (np.zeros(count, np.int64) for _ in range(3))
    if not stairs.steps:  # one output: clamping yields it, whatever the constants are
        return Lines(m + UNIT, c, below)
    constant = flat_lines(stairs)
    done = constant.m > 0
    m[done], c[done], below[done] = constant.m[done], constant.c[done], constant.below[done]
    left = np.flatnonzero(stairs.regular & ~done)
    for index in range(tries):
        if not len(left):
            break
        part = stairs.of(left)
        found = attempt(part, around(index), kinked)
        done = found.m > 0
        m[left[done]], c[left[done]], below[left[done]] = found.m[done], found.c[done], found.below[done]
        left = left[~done]
    return Lines(m, c, below)


def flat_lines(stairs: Staircase) -> Lines:
    """Constants for channels that have the same output at both ends of what they can reach, and thus everywhere."""
    ends = np.stack([stairs.lowest, stairs.highest], axis=1)
    flat = (stairs.shift <= 0) & in_int32(ends).all(axis=1) & (UNIT * (stairs.highest - stairs.lowest) < 2**20)
    y = stairs.outputs(np.where(flat[:, None], ends, 0))
    flat &= y[:, 0] == y[:, 1]
    shift = 20
    m = np.where(flat, (1 << 30) + shift, 0)  # of 2^22 values of 256 * acc + c each yields the same
    c = np.where(flat, (y[:, 0] << 22) + 2**21 - UNIT * stairs.lowest, 0)
    lines = Lines(m, c, c)
    right = (lines.outputs(ends, stairs.steps) == y).all(axis=1)
    return Lines(np.where(right, m, 0), np.where(right, c, 0), np.where(right, c, 0))


def attempt(stairs: Staircase, index: int, kinked: bool) -> Lines:
    """Tries the multiplier that lies `index` steps from TFLite's."""
    thresholds, shift = stairs.thresholds(), 7 - stairs.shift
    span = UNIT * (1 + thresholds[:, -1] - thresholds[:, 0])
    # Steps that move the last threshold by about a fifth of what offsets can resolve.
    step = 32 * np.maximum(1, stairs.multiplier // (160 * span))
    m = stairs.multiplier + (shift - stairs.multiplier) % 32 + step * index
    possible = (shift < 32) & (m > 0) & (m < 2**31)
    m = np.where(possible, m, 1 << 30)
    # Steps that need more than 2^62 lie beyond what 32 bits times 31 bits can yield.
    room = (np.int64(1) << 62) >> (32 + np.minimum(shift, 30))
    steps = np.arange(1, stairs.steps + 1, dtype=np.int64)[None, :]
    needed = -(-(np.minimum(steps, room[:, None]) << (32 + np.minimum(shift, 29))[:, None]) // m[:, None])
    if kinked:
        zero = np.zeros_like(stairs.lowest)
        c, fits = best_offset(thresholds, np.maximum(stairs.lowest, zero), stairs.highest, needed)
        below, fits_below = best_offset(thresholds, stairs.lowest, np.minimum(stairs.highest, zero - 1), needed)
        possible &= fits & fits_below
    else:
        c, fits = best_offset(thresholds, stairs.lowest, stairs.highest, needed)
        below = c
        possible &= fits
    possible &= in_int32(UNIT * stairs.lowest + np.minimum(c, below))
    possible &= in_int32(UNIT * stairs.highest + np.maximum(c, below))
    possible &= in_int32(c) & in_int32(below)
    lines = Lines(np.where(possible, m, 0), np.where(possible, c, 0), np.where(possible, below, 0))
    return proved(stairs, lines)


def best_offset(thresholds: Ints, first: Ints, last: Ints, needed: Ints) -> tuple[Ints, Array]:
    least, most = Bounds.between(thresholds, first, last).offsets(needed, UNIT)
    return middle(least, most), least <= most


def in_int32(x: Ints) -> Array:
    inside: Array = (x >= fixed.INT32_MIN) & (x <= fixed.INT32_MAX)
    return inside


def proved(stairs: Staircase, lines: Lines) -> Lines:
    """The lines that equal the reference at every witness; the others are taken back."""
    some = np.flatnonzero(lines.m)
    part = stairs.of(some)
    points = part.witnesses()
    mine = Lines(lines.m[some], lines.c[some], lines.below[some]).outputs(points, stairs.steps)
    right = (mine == part.outputs(points)).all(axis=1)
    keep = np.zeros(len(lines.m), bool)
    keep[some[right]] = True
    return Lines(np.where(keep, lines.m, 0), np.where(keep, lines.c, 0), np.where(keep, lines.below, 0))


@dataclass(frozen=True)
class Scales:
    """Records of all channels as the kernels read them: int32, `words` a channel.

    Two words: the offset with the bias in it, m. Four, if kinked: then c, and by how much the line below zero lies
    lower. m = 0: the first word is the index of (bias, multiplier, shift), which stand behind all records. One word:
    the offset alone; (m, c, drop) of all channels stand behind the last.
    """

    records: Array
    words: int
    low: int
    steps: int


def recoverable(op: Weighted, call: Call) -> bool:
    """Whether sums of products can be had back from UNIT times themselves, as channels without a line need it."""
    lowest, highest = reach(op, call)
    return bool(np.maximum(-lowest, highest).max() < EXACT_LIMIT)


def staircase(op: Weighted, call: Call) -> tuple[Staircase, Ints]:
    """(how the channels of a layer requantize, their biases)"""
    low, high = clamp_limits(call)
    bias, (lowest, highest) = folded_bias(op, call).astype(np.int64), reach(op, call)
    multiplier, shift = np.array(op.multipliers(call), np.int64).T
    return Staircase(
        multiplier, shift, bias + lowest, bias + highest, call.y.zero_point, min(low, high), high
    ), bias  # fmt: skip


def solve(stairs: Staircase) -> tuple[Lines, int]:
    """(lines, words of a record): straight lines if they serve all channels or nothing serves more."""
    both_sides = stairs.low < stairs.zero
    lines = find_lines(stairs, kinked=False, tries=STRAIGHT_TRIES if both_sides else TRIES)
    if both_sides and not lines.m.all():
        kinked = find_lines(stairs, kinked=True)
        if np.count_nonzero(kinked.m) > np.count_nonzero(lines.m):
            return kinked, 4
    return lines, 2


def scales(op: Weighted, call: Call) -> Scales:
    """The records of a layer with weights, one for each channel."""
    stairs, bias = staircase(op, call)
    lines, words = solve(stairs)
    records = np.zeros((len(bias), words), np.int64)
    records[:, 0], records[:, 1] = UNIT * bias + lines.c, lines.m
    if words == 4:
        records[:, 2], records[:, 3] = lines.c, lines.c - lines.below
    exact = np.flatnonzero(lines.m == 0)
    records[exact, 0] = records.size + 3 * np.arange(len(exact))
    behind = np.stack([bias[exact], stairs.multiplier[exact], stairs.shift[exact]], axis=1)
    every = np.concatenate([records.reshape(-1), behind.reshape(-1)])
    return Scales(fixed.wrap32(every).astype(np.int32), words, stairs.low, stairs.steps)


def common_scales(op: Weighted, call: Call) -> Scales:
    """Records of one word if all channels have one scale and one line serves them all, else as `scales`."""
    stairs, bias = staircase(op, call)
    if len(set(op.multipliers(call))) > 1:
        return scales(op, call)
    ends = np.array([stairs.lowest.min()]), np.array([stairs.highest.max()])
    joint = Staircase(stairs.multiplier[:1], stairs.shift[:1], *ends, stairs.zero, stairs.low, stairs.high)
    lines, words = solve(joint)
    if not lines.m.all():
        return scales(op, call)
    zero = int(lines.c[0]) if words == 4 else fixed.INT32_MIN  # below which no accumulator lies
    behind = np.array([lines.m[0], zero, lines.c[0] - lines.below[0]])
    every = np.concatenate([UNIT * bias + lines.c[0], behind])
    return Scales(fixed.wrap32(every).astype(np.int32), 1, stairs.low, stairs.steps)


def reach(op: Weighted, call: Call) -> tuple[Ints, Ints]:
    """The least and the greatest sum of weights times inputs, of each channel, for any bytes as inputs."""
    weights = call.input(1).data
    assert weights is not None
    positive = op.weight_sums(call, np.maximum(weights, 0))
    negative = op.weight_sums(call, np.minimum(weights, 0))
    return 127 * negative - 128 * positive, 127 * positive - 128 * negative
