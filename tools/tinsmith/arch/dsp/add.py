"""ADD for cores with the DSP extension: a * A + b * B + C, shifted, with constants that are right for all inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import fixed
from ...graph import Array
from ...ops._quantized import centred
from ...ops.add import LEFT_SHIFT, Add
from ...ops.base import Call
from ...ops.params import I8, I32s, note

SHIFT = 16  # of the sum
NEAR = 0.02  # outputs: how near a rounding boundary a pair of inputs must be to take part in the search
TRIES = 400
STEP = 1.5  # over-relaxation of a correction


class AddDsp(Add):
    """Replaces three scalings and three roundings by one linear form. Its constants are searched offline
    and checked on all 65,536 pairs of inputs; where none are found, the sum is computed as defined."""

    arch = "dsp"
    extra_sources = ("arch/dsp/add_lines.S",)

    @dataclass(frozen=True)
    class Params(Add.Params):
        constants: I32s = note("256 * A, 256 * B, C + 128 * 2^16")
        linear: I8 = note("1: the constants are right; 0: compute as defined")

    def params(self, call: Call) -> Params:
        base = Add().params(call)
        found = linear_form(all_sums(self, call), *nominal(call))
        return self.Params(
            **vars(base), constants=np.array(found or (0, 0, 0), np.int32), linear=int(found is not None)
        )


def all_sums(op: Add, call: Call) -> Array:
    """[256, 256]: the outputs without activation, saturated, less -128, for all pairs of input bytes."""
    every = np.arange(-128, 128)
    scales = op.scales(call)
    a, b = (fixed.requantize(centred(every, call.input(i)) << LEFT_SHIFT, *scales[i]) for i in (0, 1))
    y = fixed.requantize(a[:, None] + b[None, :], *scales[2]) + call.y.zero_point
    result: Array = np.clip(y, -128, 127) + 128
    return result


def nominal(call: Call) -> tuple[float, float, float]:
    """A, B and C of real arithmetic, in outputs counted from -128."""
    a, b, y = call.input(0), call.input(1), call.y
    offset = y.zero_point + 128.5 - (a.scale * a.zero_point + b.scale * b.zero_point) / y.scale
    return a.scale / y.scale, b.scale / y.scale, offset


@dataclass(frozen=True)
class Pairs:
    """Pairs of inputs, and the half-open interval in which each one's sum must fall."""

    a: Array
    b: Array
    low: Array
    high: Array

    def sums(self, k: tuple[int, int, int]) -> Array:
        """What SMLAW computes."""
        return (k[0] * self.a >> 8) + (k[1] * self.b >> 8) + k[2]

    def some(self, chosen: Array) -> Pairs:
        return Pairs(self.a[chosen], self.b[chosen], self.low[chosen], self.high[chosen])

    def misses(self, k: tuple[int, int, int]) -> Array:
        """By how much each sum must rise, or fall if negative."""
        sums = self.sums(k)
        missed: Array = np.maximum(self.low - sums, 0) - np.maximum(sums - self.high + 1, 0)
        return missed


def linear_form(outputs: Array, *real: float) -> tuple[int, int, int] | None:
    """(256 * A, 256 * B, C) that give `outputs` [256, 256] for all pairs of inputs, or None.

    Every pair bounds a linear form of three unknowns from both sides. From the real values on, the worst bound of
    those that are close is repaired by a projection until none is broken (Agmon 1954, Motzkin and Schoenberg 1954).
    """
    far = np.int64(1) << 40
    a, b = (x.reshape(-1) - 128 for x in np.indices((256, 256)))
    y = outputs.reshape(-1).astype(np.int64)
    every = Pairs(a, b, np.where(y > 0, y << SHIFT, -far), np.where(y < 255, (y + 1) << SHIFT, far))
    point = np.array([real[0] * 128, real[1] * 128, real[2]]) * 2.0**SHIFT  # so that all three have a like effect
    if not np.abs(point).sum() < 2.0**30:
        return None  # sums might not fit 32 bits
    sums = every.sums(rounded(point))
    close = np.minimum(np.abs(sums - every.low), np.abs(every.high - sums)) < NEAR * 2**SHIFT
    near = every.some(close)
    slopes = np.stack([near.a / 128, near.b / 128, np.ones(len(near.a))], axis=1)
    for _ in range(TRIES):
        misses = near.misses(rounded(point))
        if not misses.any():
            return rounded(point) if not every.misses(rounded(point)).any() else None
        worst = int(np.argmax(np.abs(misses)))
        point = point + STEP * misses[worst] / (slopes[worst] @ slopes[worst]) * slopes[worst]
    return None


def rounded(point: Array) -> tuple[int, int, int]:
    return round(point[0] * 2), round(point[1] * 2), round(point[2])
