"""STRIDED_SLICE of constants: how exporters take a dimension out of a shape."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Array
from ._shape_arithmetic import Folded
from .base import Call, Shape, rule


class StridedSlice(Folded):
    """Takes one dimension or a range of them out of a constant vector; folded."""

    name = "STRIDED_SLICE"
    max_version = 4
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
        """Only constant vectors are sliced, without ellipsis or new axes, and with steps other than 0."""
        a, x = call.attrs, call.x
        bounds = [call.input(i) for i in (1, 2, 3)]
        plain = len(x.shape) == 1 and all(b.size == 1 for b in bounds) and not a.ellipsis_mask and not a.new_axis_mask
        if not plain or bounds[2].data is None or int(bounds[2].data.reshape(-1)[0]) == 0:
            return f"shape {list(x.shape)}, masks {a.ellipsis_mask} and {a.new_axis_mask}"
        if a.shrink_axis_mask & 1 and not self.taken(call):
            return "an empty slice"
        return None

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
            index = values[0] % max(1, call.x.size)
            return [index] if -call.x.size <= values[0] < call.x.size else []
        return list(range(call.x.size))[slice(begin, end, values[2])]

    def output_shape(self, call: Call) -> Shape:
        return () if call.attrs.shrink_axis_mask & 1 else (len(self.taken(call)),)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        return inputs[0][self.taken(call)].reshape(call.y.shape).astype(call.y.dtype)
