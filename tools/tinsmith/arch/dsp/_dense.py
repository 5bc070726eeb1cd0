"""Weights and scales as firmware/core/arch/dsp/dense.S reads them: four channels at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...graph import Array
from ...ops._weighted import Weighted
from ...ops.base import Call
from ._matrix import ordered, paired, scales, weight_words

QUAD = 4  # channels at a time, and taps in a word of the input


@dataclass(frozen=True)
class Dense:
    """All that dense.S needs beside the input."""

    weights: Array  # int32 [quads][taps / 4][2][2]
    biases: Array  # int32 [pairs][2]
    scales: Array  # int32 [pairs or one][6]
    scale_step: int  # bytes
    wide: bool  # dense.S may not scale: sums may need more than 23 bits; biases and scales are as they are


def quad_steps(weights: Array) -> Array:
    """Weights [channels, taps] as [channels, steps, 2], filled up to a multiple of four taps."""
    return ordered(np.pad(weights, ((0, 0), (0, -weights.shape[1] % QUAD))), 1)


def dense(op: Weighted, call: Call, steps: Array) -> Dense:
    """`steps`: what quad_steps made of the op's weights."""
    words, found = weight_words(paired(steps)), scales(op, call, steps, alone=False)
    wide = not found.exact.all()
    table = found.plain if wide else found.table
    if len(words) % 2:
        words, table = (np.concatenate([a, a[-1:]]) for a in (words, table))
    pairs, count = words.shape
    quads = words.reshape(pairs // 2, 2, count // 2, 2).transpose(0, 2, 3, 1)
    uniform = bool((table[:, 2:] == table[:1, 2:]).all())
    return Dense(
        np.ascontiguousarray(quads).reshape(-1), np.ascontiguousarray(table[:, :2]).reshape(-1),
        np.ascontiguousarray(table[:1, 2:] if uniform else table[:, 2:]).reshape(-1), 0 if uniform else 24, wide,
    )  # fmt: skip
