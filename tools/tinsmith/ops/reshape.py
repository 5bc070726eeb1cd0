"""RESHAPE: the same bytes under another shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph
from ._examples import quantized, random_shape, single
from ._interval import Interval, channel_count
from .base import Call, Op, rule
from .tensors import Shape


class Reshape(Op):
    """Gives a tensor a new shape; no code is emitted for it. The output's shape in the file holds, so
    options and a second input may be missing."""

    name = "RESHAPE"
    onnx = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
    arity = (1, 2)
    view = True
    needs_options = False

    @dataclass(frozen=True)
    class Attrs:
        new_shape: tuple[int, ...] = ()

    @rule
    def sizes_are_equal(self, call: Call) -> str | None:
        """Input and output must hold the same number of elements of the same type."""
        if call.x.size == call.y.size and call.x.dtype == call.y.dtype:
            return None
        return f"{call.x.size} {call.x.dtype} and {call.y.size} {call.y.dtype}"

    def output_shape(self, call: Call) -> Shape:
        return call.y.shape

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        return None if inputs[0] is None else inputs[0].regrouped(channel_count(call.y.shape))

    def channel_sources(self, call: Call, index: int) -> Array | None:
        own, count = channel_count(call.x.shape), channel_count(call.y.shape)
        return np.arange(count) % own if count % own == 0 else None

    def fitted_attrs(self, call: Call) -> Attrs:
        return self.Attrs(new_shape=call.y.shape) if call.attrs else call.attrs

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        return inputs[0].reshape(call.y.shape)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            shape = random_shape(rng, int(rng.integers(1, 5)), 6)
            x = quantized(rng, "x", shape)
            new = tuple(int(d) for d in rng.permutation(np.array(shape)))
            if rng.random() < 0.4:
                new = (x.size,) if rng.random() < 0.5 else (1, x.size)
            graph = single(self, self.Attrs(new_shape=new), [x], replace(x, name="y", shape=new))
            if graph is not None:
                yield graph
