"""STRIDED_SLICE of constants: how exporters take a dimension out of a shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import single
from ._shape_arithmetic import Folded
from .base import Call, rule
from .tensors import Shape


class StridedSlice(Folded):
    """Takes one dimension or a range of them out of a constant vector; folded."""

    name = "STRIDED_SLICE"
    max_version = 7
    arity = (4, 4)

    @dataclass(frozen=True)
    class Attrs:
        begin_mask: int = 0
        end_mask: int = 0
        ellipsis_mask: int = 0
        new_axis_mask: int = 0
        shrink_axis_mask: int = 0

    @rule
    def slice_is_of_a_vector(self, call: Call) -> str | None:
        """Only constant vectors are sliced, without ellipsis or new axes, in steps other than 0, not to nothing."""
        a, x = call.attrs, call.x
        bounds = [call.input(i) for i in (1, 2, 3)]
        plain = len(x.shape) == 1 and all(b.size == 1 for b in bounds) and not a.ellipsis_mask and not a.new_axis_mask
        if not plain or bounds[2].data is None or int(bounds[2].data.reshape(-1)[0]) == 0:
            return f"shape {list(x.shape)}, masks {a.ellipsis_mask} and {a.new_axis_mask}"
        if a.shrink_axis_mask & 1 and int(bounds[2].data.reshape(-1)[0]) < 0:
            return "a single element taken backwards"
        return None if self.taken(call) else "an empty slice"

    def taken(self, call: Call) -> list[int]:
        """Indices of the elements that the slice keeps."""
        values = []
        for i in (1, 2, 3):
            data = call.input(i).data
            assert data is not None
            values.append(int(data.reshape(-1)[0]))
        begin = None if call.attrs.begin_mask & 1 else values[0]
        end = None if call.attrs.end_mask & 1 else values[1]
        if call.attrs.shrink_axis_mask & 1:
            index = begin or 0
            return [index % call.x.size] if -call.x.size <= index < call.x.size else []
        return list(range(call.x.size))[slice(begin, end, values[2])]

    def output_shape(self, call: Call) -> Shape:
        return () if call.attrs.shrink_axis_mask & 1 else (len(self.taken(call)),)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        return inputs[0][self.taken(call)].reshape(call.y.shape).astype(call.y.dtype)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            size = int(rng.integers(1, 8))
            values = [rng.integers(0, 99, size, np.int32)]
            values += [
                np.array([v], np.int32) for v in (*rng.integers(-size - 2, size + 3, 2), rng.choice([-3, -1, 1, 2]))
            ]
            inputs = [Tensor(f"x{i}", v.shape, v.dtype, None, v) for i, v in enumerate(values)]
            begin, end, shrink = (int(rng.random() < p) for p in (0.3, 0.3, 0.4))
            attrs = self.Attrs(begin_mask=begin, end_mask=end, shrink_axis_mask=shrink)
            graph = single(self, attrs, inputs, Tensor("y", (1,), np.dtype(np.int32)))
            if graph is not None:
                yield graph
