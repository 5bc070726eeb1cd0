"""RELU as an operator of its own, int8."""

from __future__ import annotations

import numpy as np

from .. import fixed
from ..graph import Array
from ._quantized import centred, factor_problem
from ._table import Tabulated
from .base import Call, rule


class Relu(Tabulated):
    """Requantizes and clamps at zero. Behind an op that can clamp, it is fused into that op."""

    name = "RELU"
    onnx = ("Relu",)
    max_version = 3

    @rule
    def factor_fits(self, call: Call) -> str | None:
        """The input scale must be below 2^30 output scales."""
        return factor_problem(call.x.scale / call.y.scale)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        assert inputs[0] is not None
        scale = fixed.quantize_multiplier(call.x.scale / call.y.scale)
        out = fixed.requantize(centred(inputs[0], call.x), *scale) + call.y.zero_point
        return np.clip(out, call.y.zero_point, 127).astype(np.int8)
