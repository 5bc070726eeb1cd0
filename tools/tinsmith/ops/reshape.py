"""RESHAPE: the same bytes under another shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from numpy.random import Generator

from ..graph import Array, Graph
from ._examples import quantized, single
from .base import Call, Op, Shape, rule


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

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        return inputs[0].reshape(call.y.shape)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            a, b = int(rng.integers(1, 9)), int(rng.integers(1, 9))
            x = quantized(rng, "x", (1, a, b))
            graph = single(self, self.Attrs(new_shape=(b, a)), [x], replace(x, name="y", shape=(b, a)))
            if graph is not None:
                yield graph
