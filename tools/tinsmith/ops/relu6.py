"""RELU6 as an operator of its own, int8."""

from __future__ import annotations

import numpy as np

from .. import fixed
from ..graph import Array
from ._quantized import limit_problem
from ._table import Tabulated
from .base import Call, rule


class Relu6(Tabulated):
    """Clamps between 0 and 6 in the units of the input; TensorFlow Lite Micro does not rescale here."""

    name = "RELU6"
    onnx = ("Clip",)
    max_version = 3

    @rule
    def limit_fits(self, call: Call) -> str | None:
        """6 divided by the input's scale must fit 32 bits."""
        return limit_problem(6.0, call.x)

    def limits(self, call: Call) -> tuple[int, int]:
        six = fixed.quantize_value(6.0, call.x.scale, call.x.zero_point)
        return call.x.zero_point, min(six, 127)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        low, high = self.limits(call)
        return np.minimum(np.maximum(inputs[0], low), high).astype(np.int8)
