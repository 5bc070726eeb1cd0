"""SHAPE: the dimensions of a tensor, folded into a constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Array
from .base import Call, Op, Shape


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
