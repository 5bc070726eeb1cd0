"""Random tensors and single-op graphs for the parity tests."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Node, Quant, Tensor
from .base import Call, Op

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def random_ratio(rng: Generator, decades: float = 1.0) -> float:
    """A factor between scales: mostly near 1, at times so far off that multipliers vanish or shift left."""
    return float(10 ** rng.uniform(*((-decades, decades) if rng.random() < 0.85 else (-11, 11))))


def random_shape(rng: Generator, rank: int, most: int = 8) -> tuple[int, ...]:
    """Dimensions from 1 to `most`, ones more often than others."""
    return tuple(1 if rng.random() < 0.15 else int(d) for d in rng.integers(1, most + 1, rank))


def random_quant(rng: Generator, dtype: Any = np.int8, scale: float | None = None) -> Quant:
    """A float32 scale, mostly within four decades, and any zero point, the ends of the range among them."""
    info = np.iinfo(dtype)
    decades = (-3, 1) if rng.random() < 0.9 else (-12, 8)
    value = np.float32(10 ** rng.uniform(*decades) if scale is None else scale)
    zero = rng.choice([info.min, info.max, int(rng.integers(info.min, info.max + 1))])
    return Quant((float(value),), (int(zero),))


def quantized(
    rng: Generator, name: str, shape: tuple[int, ...], dtype: Any = np.int8, scale: float | None = None
) -> Tensor:
    """An activation with a random zero point, and a random scale unless one is given."""
    return Tensor(name, tuple(int(d) for d in shape), np.dtype(dtype), random_quant(rng, dtype, scale))


def single(op: Op, attrs: Any, inputs: list[Tensor], y: Tensor) -> Graph | None:
    """A graph of one node whose output takes the op's own shape; None where a rule forbids it."""
    node = Node(op.name, op.name.lower(), tuple(t.name for t in inputs), (y.name,), attrs, int(not op.internal))
    if op.broken_rule(Call(node, tuple(inputs), (y,))):
        return None
    y = replace(y, shape=op.output_shape(Call(node, tuple(inputs), (y,))))
    tensors = {t.name: t for t in (*inputs, y)}
    names = tuple(t.name for t in inputs if t.data is None)
    return Graph(op.name.lower(), tensors, (node,), names, (y.name,))


def example(
    op: Op, rng: Generator, x: Tensor, weights: Array, attrs: Any, per_channel: bool, axis: int = 0
) -> Graph | None:
    """A graph of one weighted op, its scales chosen so that outputs cover the range of int8."""
    channels = weights.shape[axis]
    scales = (10 ** rng.uniform(-3, -1, channels if per_channel else 1)).astype(np.float32)
    if per_channel and rng.random() < 0.2:
        scales[rng.integers(0, channels)] *= np.float32(random_ratio(rng, 3.0))
    w = Tensor("w", weights.shape, weights.dtype, Quant(tuple(map(float, scales)), (0,) * len(scales), axis), weights)
    taps = max(1, weights.size // channels)
    spread = x.scale * float(scales.mean()) * math.sqrt(taps) * 5000 / 60
    y = quantized(rng, "y", (1,), scale=spread * random_ratio(rng, 0.7))
    inputs = [x, w]
    if rng.random() < 0.8:
        bias: Array = rng.integers(-20000, 20001, channels, np.int32)
        if rng.random() < 0.05:  # accumulators wrap, and nothing about that may be undefined
            bias = rng.choice(np.array([-(2**31), 2**31 - 1, 2**31 - 5000], np.int32), channels)
        bias_quant = Quant(tuple(float(np.float32(x.scale * s)) for s in scales.tolist()), (0,) * len(scales), 0)
        inputs.append(Tensor("b", bias.shape, bias.dtype, bias_quant, bias))
    return single(op, attrs, inputs, y)
