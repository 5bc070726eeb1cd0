"""PACK of constants: how exporters put a shape together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Array
from ._shape_arithmetic import Folded
from .base import Call, Shape, rule


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
