"""Requantization as firmware/core/arch/mve/tin_mve.h does it.

VQRDMULH is TFLite's doubling high multiply. VRSHL rounds half up, and the kernels correct negative ties, but not with
a fused ReLU: x1 = k * 2^r + 2^(r-1) with k < 0 becomes k + 1 instead of k, both of which are at most zero and thus,
with the zero point added, at or below the least output.
"""

from __future__ import annotations

import numpy as np

from ...graph import Array
from ...ops._quantized import clamp_limits
from ...ops._weighted import Weighted
from ...ops.base import Call


def channel_scales(op: Weighted, call: Call) -> tuple[Array, Array]:
    """(multiplier, shift) of each channel, int32."""
    multiplier, shift = np.array(op.multipliers(call), np.int64).T
    return multiplier.astype(np.int32), shift.astype(np.int32)


def ignores_negative(op: Weighted, call: Call) -> bool:
    """Whether results up to zero are all the same and no channel shifts to the left."""
    low, _ = clamp_limits(call)
    return bool(low >= call.y.zero_point and (channel_scales(op, call)[1] <= 0).all())
