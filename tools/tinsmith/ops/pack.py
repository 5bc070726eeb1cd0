"""PACK of constants: how exporters put a shape together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import random_shape, single
from ._shape_arithmetic import Folded
from .base import Call, rule
from .tensors import Shape


class Pack(Folded):
    """Stacks constants along a new dimension; folded."""

    name = "PACK"
    max_version = 4
    arity = (1, 64)

    @dataclass(frozen=True)
    class Attrs:
        values_count: int = 0
        axis: int = 0

    @rule
    def inputs_are_equal_scalars(self, call: Call) -> str | None:
        """Inputs must be equal in shape, and the axis 0."""
        shapes = {t.shape for t in call.inputs if t is not None}
        return None if len(shapes) == 1 and call.attrs.axis == 0 else f"shapes {sorted(shapes)}, axis {call.attrs.axis}"

    def output_shape(self, call: Call) -> Shape:
        return (len(call.inputs), *call.x.shape)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        return np.stack([x for x in inputs if x is not None]).astype(call.y.dtype)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            shape, count = random_shape(rng, int(rng.integers(0, 3)), 4), int(rng.integers(1, 7))
            values: Array = rng.integers(-99, 100, (count, *shape), np.int32)
            inputs = [Tensor(f"x{i}", shape, v.dtype, None, np.asarray(v)) for i, v in enumerate(values)]
            graph = single(self, self.Attrs(values_count=count), inputs, Tensor("y", (1,), np.dtype(np.int32)))
            if graph is not None:
                yield graph
