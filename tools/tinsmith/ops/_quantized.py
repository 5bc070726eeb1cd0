"""Rules and helpers shared by ops on int8 tensors."""

from __future__ import annotations

import numpy as np

from .. import fixed
from ..graph import Array, Tensor
from .base import Call, Op, rule
from .tensors import is_int8

CLAMPING = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
MOST_FACTOR = 2.0**30  # a shift to the left by more than 30 bits has no meaning for an int32


class Int8Op(Op):
    """An op whose activations are all int8 with one scale a tensor."""

    @rule
    def activations_are_int8(self, call: Call) -> str | None:
        """Inputs and output that hold activations must be int8; quantize the model to full int8."""
        tensors = [call.input(i) for i in self.runtime_inputs(call)] + [call.y]
        wrong = [f"{t.name!r} is {t.dtype}" for t in tensors if not is_int8(t)]
        return ", ".join(wrong) or None

    @rule
    def activations_have_one_scale(self, call: Call) -> str | None:
        """Activations must have exactly one positive scale and a zero point in the range of their type."""
        for t in [call.input(i) for i in self.runtime_inputs(call)] + [call.y]:
            found = quant_problem(t)
            if found:
                return found
        return None


def quant_problem(t: Tensor) -> str | None:
    """Why a tensor's quantization is not a usable per-tensor one, or None."""
    if t.quant is None or not t.quant.scale:
        return f"{t.name!r} has no scale"
    if not t.quant.per_tensor:
        return f"{t.name!r} has {len(t.quant.scale)} scales"
    if not (0 < t.scale < np.inf):
        return f"{t.name!r} has scale {t.scale}"
    info = np.iinfo(t.dtype)
    if not info.min <= t.zero_point <= info.max:
        return f"{t.name!r} has zero point {t.zero_point}"
    return None


def factor_problem(factor: float) -> str | None:
    """Why a factor between scales cannot be applied in 32 bits, or None."""
    return None if factor < MOST_FACTOR else f"{factor:.4g}"


def limit_problem(limit: float, t: Tensor) -> str | None:
    """Why a limit of an activation has no place in 32 bits at a tensor's scale, or None."""
    return None if limit / t.scale < 2.0**31 - 128 else f"{limit:g} at scale {t.scale:.4g}"


class FusedActivation(Int8Op):
    """An op that clamps its result: by the fused activation of the file, and by what passes add.

    Its Attrs have `fused_activation_function` and `clamp`, an extra pair of limits or None.
    """

    @rule
    def activation_is_a_clamp(self, call: Call) -> str | None:
        """The fused activation must be NONE, RELU, RELU6 or RELU_N1_TO_1."""
        name = call.attrs.fused_activation_function
        return None if name in CLAMPING else str(name)

    @rule
    def activation_limits_fit(self, call: Call) -> str | None:
        """The limits of a fused RELU6 or RELU_N1_TO_1, divided by the output's scale, must fit 32 bits."""
        return limit_problem(6.0 if call.attrs.fused_activation_function == "RELU6" else 1.0, call.y)


def clamp_limits(call: Call) -> tuple[int, int]:
    """Limits of the output in quantized units."""
    low, high = fixed.activation_range(
        call.attrs.fused_activation_function, call.y.scale, call.y.zero_point, call.y.dtype
    )
    if call.attrs.clamp is not None:
        low, high = max(low, call.attrs.clamp[0]), min(high, call.attrs.clamp[1])
    return low, high


def clamped(call: Call, x: Array) -> Array:
    """Clamp integers to the op's limits and return them as int8. A low limit above the high one wins
    nothing: std::min is applied last, as in TFLite."""
    low, high = clamp_limits(call)
    return np.minimum(np.maximum(x, low), high).astype(np.int8)


def centred(x: Array, tensor: Tensor) -> Array:
    """Quantized values less their zero point, as int64."""
    return x.astype(np.int64) - tensor.zero_point
