"""Random tensors and single-op graphs for the parity tests."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Node, Quant, Tensor
from .base import Call, Op


def random_quant(rng: Generator, dtype: Any = np.int8, scale: float | None = None) -> Quant:
    """A float32 scale over four decades and any zero point, the ends of the range among them."""
    info = np.iinfo(dtype)
    value = np.float32(10 ** rng.uniform(-3, 1) if scale is None else scale)
    zero = rng.choice([info.min, info.max, int(rng.integers(info.min, info.max + 1))])
    return Quant((float(value),), (int(zero),))


def quantized(rng: Generator, name: str, shape: tuple[int, ...], dtype: Any = np.int8, scale: float | None = None) -> Tensor:
    return Tensor(name, tuple(int(d) for d in shape), np.dtype(dtype), random_quant(rng, dtype, scale))


def single(op: Op, attrs: Any, inputs: list[Tensor], y: Tensor) -> Graph | None:
    """A graph of one node whose output takes the op's own shape; None where a rule forbids it."""
    node = Node(op.name, op.name.lower(), tuple(t.name for t in inputs), (y.name,), attrs)
    if op.broken_rule(Call(node, tuple(inputs), (y,))):
        return None
    y = replace(y, shape=op.output_shape(Call(node, tuple(inputs), (y,))))
    tensors = {t.name: t for t in (*inputs, y)}
    names = tuple(t.name for t in inputs if t.data is None)
    return Graph(op.name.lower(), tensors, (node,), names, (y.name,))


def example(op: Op, rng: Generator, x: Tensor, weights: Array, attrs: Any, per_channel: bool, axis: int = 0) -> Graph | None:
    """A graph of one weighted op, its scales chosen so that outputs cover the range of int8."""
    channels = weights.shape[axis]
    scales = np.float32(10 ** rng.uniform(-3, -1, channels if per_channel else 1))
    w = Tensor("w", weights.shape, weights.dtype, Quant(tuple(map(float, scales)), (0,) * len(scales), axis), weights)
    taps = max(1, weights.size // channels)
    spread = x.scale * float(scales.mean()) * math.sqrt(taps) * 5000 / 60
    y = quantized(rng, "y", (1,), scale=spread * 10 ** rng.uniform(-0.7, 0.7))
    inputs = [x, w]
    if rng.random() < 0.8:
        bias = rng.integers(-20000, 20001, channels).astype(np.int32)
        bias_quant = Quant(tuple(float(np.float32(x.scale * s)) for s in w.quant.scale), (0,) * len(scales), 0)  # type: ignore[union-attr]
        inputs.append(Tensor("b", bias.shape, bias.dtype, bias_quant, bias))
    return single(op, attrs, inputs, y)
