"""ADD as one linear form of both bytes.

    y = (a * x1 + b * x2 + c) >> shift, clamped

TFLite rounds three times, each time half away from zero. Whether some constants yield the same for all 65,536 pairs is
decided by computing them all; where both inputs have the same scale as the output there may be none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...graph import Array
from .._thresholds import around

MOST_SHIFT = 24
TRIED_SHIFTS = 3
NEAR = 4  # how far from the rounded ratios constants are searched


@dataclass(frozen=True)
class Form:
    a: int
    b: int
    c: int
    shift: int


def find_form(ratios: tuple[float, float], outputs: Array, low: int, high: int) -> Form | None:
    """A form that equals `outputs` (int8 [256, 256], by x1 + 128 and x2 + 128) on every pair, or None."""
    y = outputs.astype(np.int64)
    x = np.arange(-128, 128, dtype=np.int64)
    # As precise as 32 bits allow; the sums of everything beyond the limits are in them too.
    top = max(s for s in range(MOST_SHIFT + 1) if (abs(ratios[0]) + abs(ratios[1])) * 128 * 2.0**s < 2.0**31)
    for shift in range(top, max(top - TRIED_SHIFTS, -1), -1):
        nearest = [round(r * 2**shift) for r in ratios]
        for index in range((2 * NEAR + 1) ** 2):
            a, b = (nearest[0] + around(index // (2 * NEAR + 1)), nearest[1] + around(index % (2 * NEAR + 1)))
            c = fitted(a * x[:, None] + b * x[None, :], y, shift, low, high)
            if c is not None:
                return Form(a, b, c, shift)
    return None


def fitted(bare: Array, y: Array, shift: int, low: int, high: int) -> int | None:
    """The constant that makes (bare + c) >> shift equal y wherever y lies between the limits, and reach them elsewhere;
    None if there is none in 32 bits."""
    if low >= high:
        return 0
    least = int(np.where(y > low, (y << shift) - bare, -(2**62)).max())
    most = int(np.where(y < high, ((y + 1) << shift) - 1 - bare, 2**62).min())
    if least > most:
        return None
    c = most if least == -(2**62) else least if most == 2**62 else (least + most) // 2
    ends = int(bare.min()), int(bare.max())
    found = (c, *ends, ends[0] + c, ends[1] + c)
    return c if all(-(2**31) <= v < 2**31 for v in found) else None
