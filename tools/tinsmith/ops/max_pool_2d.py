"""MAX_POOL_2D, int8."""

from __future__ import annotations

import numpy as np

from ..graph import Array
from ._pool import Pool
from ._quantized import clamped
from .base import Call


class MaxPool2D(Pool):
    """Greatest values of windows."""

    name = "MAX_POOL_2D"
    onnx = ("MaxPool", "GlobalMaxPool")
    max_version = 3

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        values, inside = self.windows(call, inputs[0])
        return clamped(call, np.where(inside == 1, values, -128).max(axis=(2, 3)))[None]
