"""Weights and scales as firmware/core/arch/dsp/blocks.S reads them: two channels share a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...graph import Array
from ...ops._quantized import clamp_limits
from ...ops._weighted import Weighted, folded_bias
from ...ops.base import Call
from ._requant import FAST_LIMIT, Scaling, Stage, accumulator_range, lower_stage, signed_stage, upper_stage

SIGNED, ALONE = np.int64(1) << 31, np.int64(1) << 7  # flags in the upper channel's shift


@dataclass(frozen=True)
class Loads:
    """How a pair's words get into registers: one alone, then in loads."""

    first: int  # the most words of the first load
    later: int  # the words of each further one

    def sizes(self, steps: int) -> list[int]:
        """The words of each load of `steps`, but for the very first word."""
        further = max(0, -(-(steps - 1 - self.first) // self.later))
        return [steps - 1 - further * self.later] + [self.later] * further


LOADS = Loads(32, 32)
SLIDING = Loads(29, 30)  # every load ends with the last column of three; there must be several


def tap_order(run: int) -> Array:
    """Which two of a run's taps each step multiplies, [steps, 2]; -1 is none.

    Four bytes are unpacked into bytes 0 and 2, then 1 and 3. The rest of a run is alike, or two neighbours.
    """
    steps = [(k + half, k + 2 + half) for k in range(0, run - run % 4, 4) for half in (0, 1)]
    end = run - run % 4
    steps += {0: [], 1: [(end, -1)], 2: [(end, end + 1)], 3: [(end, end + 2), (end + 1, -1)]}[run % 4]
    return np.array(steps, np.int64)


def ordered(weights: Array, runs: int) -> Array:
    """Weights [channels, taps] of `runs` equal runs as steps [channels, steps, 2]."""
    channels, taps = weights.shape
    order = tap_order(taps // runs)
    cut = np.concatenate([weights.reshape(channels, runs, -1), np.zeros((channels, runs, 1), weights.dtype)], axis=2)
    return cut[:, :, order].reshape(channels, -1, 2)  # index -1 is the added zero


def paired(array: Array) -> Array:
    """An array [channels, ...] as [pairs, 2, ...], filled up with zeros: 0 is the lower channel."""
    if len(array) % 2:
        array = np.concatenate([array, np.zeros_like(array[:1])])
    return array.reshape(-1, 2, *array.shape[1:])


def weight_words(pairs: Array) -> Array:
    """Steps [pairs, 2, steps, 2] as int32 words [pairs, steps]: lanes of 256 * upper + lower."""
    w = pairs.astype(np.int64)
    lanes = (256 * w[:, 1] + w[:, 0]) & 0xFFFF
    return (lanes[..., 0] | lanes[..., 1] << 16).astype(np.uint32).view(np.int32)


def in_loading_order(words: Array, loads: Loads) -> Array:
    """Words [pairs, steps] as they are loaded: the first of a pair alone; of every load, the last is used first."""
    parts, start = [words[:, :1]], 1
    for size in loads.sizes(words.shape[1]):
        parts.append(words[:, start : start + size][:, ::-1])
        start += size
    return np.concatenate(parts, axis=1)


def stream(words: Array, table: Array, loads: Loads) -> Array:
    """All that a pair needs, int32 [pairs, steps + 7], in the order of reading: see tin_dsp.h."""
    ordered_words = in_loading_order(words, loads)
    shifts = table[:, 4] | table[:, 7] << 8
    scale = [table[:, 2], table[:, 3], shifts, table[:, 5], table[:, 6]]
    parts = [ordered_words[:, :1], table[:, :2], ordered_words[:, 1:], np.stack(scale, axis=1)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


@dataclass(frozen=True)
class Scales:
    """What pairs of channels need besides weights, and which of them blocks.S may compute."""

    table: Array  # int32 [pairs, 8]: F and S at the start; multiplier, constant, shift of the upper and lower channel
    exact: Array  # bool [pairs]
    plain: Array  # int32 [pairs, 8]: the table if none were exact

    @property
    def runs(self) -> Array:
        """Numbers of pairs that blocks.S computes and that plain C does, in turn."""
        return np.array(list(run_lengths(self.exact)), np.int32)


def run_lengths(flags: Array) -> Iterator[int]:
    """Lengths of the runs of True, of False, and so on; the first may be 0."""
    wanted, start = True, 0
    while start < len(flags):
        other = np.flatnonzero(flags[start:] != wanted)
        length = int(other[0]) if len(other) else len(flags) - start
        yield length
        wanted, start = not wanted, start + length


def scaling(op: Weighted, call: Call, weights: Array) -> Scaling:
    """The requantization of a weighted op's channels; weights [channels, taps]."""
    multiplier, shift = np.array(op.multipliers(call), np.int64).T
    low, high = clamp_limits(call)
    lo, hi = accumulator_range(weights, folded_bias(op, call))
    return Scaling(multiplier, shift, call.y.zero_point, low, high, lo, hi)


def lanes_fit(pairs: Array) -> Array:
    """Whether 256 * upper + lower fits int16 for all weights of a pair [pairs, 2, ...]: bool [pairs]."""
    bad = (pairs[:, 1] == -128) & (pairs[:, 0] < 0)
    fits: Array = ~bad.reshape(len(bad), -1).any(axis=1)
    return fits


def scales(op: Weighted, call: Call, steps: Array, alone: bool = True) -> Scales:
    """The table for weights [channels, steps, 2], with every pair's conditions checked.

    An entry is what tin_dsp.h says, or, where no form was proved, biases, multipliers and shifts as they are. With
    `alone`, the last one of an odd number of channels is marked; else a copy of it stands in for its upper neighbour.
    """
    s = scaling(op, call, steps.reshape(len(steps), -1))
    fast_upper, fast_lower, signed = upper_stage(s), lower_stage(s), signed_stage(s)
    missing = ~paired(np.ones(len(steps), bool))[:, 1]
    lanes = lanes_fit(paired(steps))
    # The signed form of a multiplier of 0 does not look at the sum.
    upper = signed.exact & ((signed.multiplier == 0) | (s.lo >= -FAST_LIMIT) & (s.hi < FAST_LIMIT))
    both_fast = lanes & twice(fast_upper.exact)[:, 1] & twice(fast_lower.exact)[:, 0] & ~(missing & alone)
    exact = lanes & twice(signed.exact)[:, 0] & (twice(upper)[:, 1] | missing) | both_fast
    bias = paired(folded_bias(op, call).astype(np.int64))
    of_fast = entries(biases(bias, twice(fast_lower.extra)[:, 0]), fast(fast_upper), fast(fast_lower))
    shared = np.stack([signed.multiplier, signed.constant, signed.right], axis=1)
    of_signed = entries(biases(bias), shared, shared)
    of_signed[:, 4] |= SIGNED | ALONE * (missing & alone)
    own = np.stack([s.multiplier, s.shift, np.zeros_like(s.shift)], axis=1)
    plain = entries(bias[:, ::-1], own, own)
    table = np.where(both_fast[:, None], of_fast, np.where(exact[:, None], of_signed, plain))
    return Scales(words_of(table), exact, words_of(plain))


def biases(pairs: Array, extra: Array | int = 0) -> Array:
    """F and S at the start [pairs, 2], for biases [pairs, 2]; the lower one is to be greater by `extra`."""
    lower = pairs[:, 0] + extra
    return np.stack([256 * pairs[:, 1] + lower, lower], axis=1)


def fast(stage: Stage) -> Array:
    """A fast form's three constants [channels, 3]; a shift of 0 marks it."""
    return np.stack([stage.multiplier, stage.constant, np.zeros_like(stage.right)], axis=1)


def entries(start: Array, upper: Array, lower: Array) -> Array:
    """[pairs, 8]: two words each, three constants of the upper and three of the lower channel, both [channels, 3]."""
    return np.concatenate([start, twice(upper)[:, 1], twice(lower)[:, 0]], axis=1)


def words_of(values: Array) -> Array:
    """Integers of 32 bits, signed or not, as int32."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def twice(array: Array) -> Array:
    """An array [channels, ...] as [pairs, 2, ...]; a missing last channel is like the one before it."""
    return paired(np.concatenate([array, array[-1:]]) if len(array) % 2 else array)
