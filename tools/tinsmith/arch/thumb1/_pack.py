"""Weights in the order in which the kernels for ARMv6-M read them."""

from __future__ import annotations

import numpy as np

from ...graph import Array

LANE_LIMIT = 8191  # sum of |w| whose products with bytes stay below 2^20
OFFSET = 128  # added to weights, so that they are unsigned bytes


def cut(weights: Array) -> tuple[int, int]:
    """(taps a chunk, chunks) for weights [channels, taps]: the fewest equal chunks whose sums fit a lane."""
    sizes = np.abs(weights.astype(np.int64))
    taps = weights.shape[1]
    for chunks in range(1, taps + 1):
        chunk = -(-taps // chunks)
        if np.add.reduceat(sizes, np.arange(0, taps, chunk), axis=1).max() <= LANE_LIMIT:
            return chunk, -(-taps // chunk)
    raise AssertionError("a single tap always fits")


def shifted(weights: Array, taps: int) -> Array:
    """[channels, any] -> uint8 [channels * taps]: filled up with zeros, 128 added."""
    full = np.zeros((len(weights), taps), np.int16)
    full[:, : weights.shape[1]] = weights
    return (full + OFFSET).astype(np.uint8).reshape(-1)
