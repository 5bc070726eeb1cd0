"""AVERAGE_POOL_2D, int8."""

from __future__ import annotations

import numpy as np

from ..graph import Array
from ._pool import Pool
from ._quantized import clamped
from .base import Call


class AveragePool2D(Pool):
    """Means of windows, rounded half away from zero; padding does not count."""

    name = "AVERAGE_POOL_2D"
    onnx = ("AveragePool", "GlobalAveragePool")
    max_version = 3

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        values, inside = self.windows(call, inputs[0])
        total, count = values.sum(axis=(2, 3)), inside.sum(axis=(2, 3))
        mean = np.sign(total) * ((np.abs(total) + count // 2) // count)
        return clamped(call, mean)[None]
