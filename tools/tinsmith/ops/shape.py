"""SHAPE: the dimensions of a tensor, folded into a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import quantized, random_shape, single
from .base import Call, Op
from .tensors import Shape


class ShapeOf(Op):
    """The input's shape; always known while compiling, batch sizes of -1 being taken as 1."""

    name = "SHAPE"
    onnx = ("Shape",)
    lowered = "a constant"

    @dataclass(frozen=True)
    class Attrs:
        pass

    def output_shape(self, call: Call) -> Shape:
        return (len(call.x.shape),)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        return np.array(call.x.shape, call.y.dtype)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            x = quantized(rng, "x", random_shape(rng, int(rng.integers(1, 6)), 6))
            graph = single(self, self.Attrs(), [x], Tensor("y", (1,), np.dtype(np.int32)))
            if graph is not None:
                yield graph
