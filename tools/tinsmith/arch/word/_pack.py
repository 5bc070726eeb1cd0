"""Weights in the order in which the kernels for plain 32-bit cores read them."""

from __future__ import annotations

import numpy as np

from ...graph import Array

CHANNELS = 4  # interleaved
LANE_LIMIT = 8191  # sum of |w| whose products with bytes stay below 2^20


def cut(weights: Array) -> tuple[int, int]:
    """(taps a chunk, chunks) for weights [channels, taps]: the fewest equal chunks whose sums fit a lane."""
    sizes = np.abs(weights.astype(np.int64))
    taps = weights.shape[1]
    for chunks in range(1, taps + 1):
        chunk = -(-taps // chunks)
        if np.add.reduceat(sizes, np.arange(0, taps, chunk), axis=1).max() <= LANE_LIMIT:
            return chunk, -(-taps // chunk)
    raise AssertionError("63 taps always fit")


def interleaved(weights: Array, chunk: int, chunks: int) -> Array:
    """[channels, taps] -> [groups of channels][taps][channels in the group], filled up with zeros."""
    channels, taps = weights.shape
    groups = -(-channels // CHANNELS)
    full = np.zeros((groups * CHANNELS, chunk * chunks), np.int8)
    full[:channels, :taps] = weights
    return np.ascontiguousarray(full.reshape(groups, CHANNELS, -1).transpose(0, 2, 1)).reshape(-1)
