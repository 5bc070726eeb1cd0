"""What both convolutions share: geometry, parameters, and their Attrs but for the depth multiplier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from ._examples import ACTIVATIONS
from ._quantized import clamp_limits
from ._weighted import Weighted, folded_bias
from ._window import Windowed
from .base import Call, internal
from .params import I8, I16, I32, I8s, I32s, note
from .tensors import Shape


@dataclass(frozen=True)
class ConvAttrs:
    padding: str = "SAME"
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: str = "NONE"
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    pads: tuple[tuple[int, int], tuple[int, int]] | None = internal(None)
    clamp: tuple[int, int] | None = internal(None)
    offset_folded: bool = internal(False)


@dataclass(frozen=True)
class ConvParams:
    weights: I8s = note("in the order that the kernel reads them")
    bias: I32s = note("[out_c], input offset folded in")
    multiplier: I32s = note("[out_c], Q31")
    shift: I8s = note("[out_c], power of two applied with the multiplier")
    in_h: I16 = note("input rows")
    in_w: I16 = note("input columns")
    in_c: I16 = note("input channels")
    out_w: I16 = note("columns of an output row")
    out_c: I16 = note("output channels")
    kernel_h: I16 = note("rows of the kernel")
    kernel_w: I16 = note("columns of the kernel")
    stride_h: I16 = note("rows between outputs")
    stride_w: I16 = note("columns between outputs")
    dilation_h: I16 = note("rows between taps")
    dilation_w: I16 = note("columns between taps")
    pad_top: I16 = note("rows of padding above")
    pad_left: I16 = note("columns of padding to the left")
    pad_value: I8 = note("what padding holds: the input's zero point")
    low: I8 = note("least output")
    high: I8 = note("greatest output")
    out_zero: I32 = note("zero point of the output")


class Convolution(Windowed, Weighted):
    """A window of weights that slides over an image."""

    onnx = ("Conv", "QLinearConv")
    Attrs: ClassVar[Any] = ConvAttrs
    Params: ClassVar[type | None] = ConvParams

    def kernel_size(self, call: Call) -> tuple[int, int]:
        return call.input(1).shape[1], call.input(1).shape[2]

    def dilation(self, call: Call) -> tuple[int, int]:
        return call.attrs.dilation_h_factor, call.attrs.dilation_w_factor

    def output_shape(self, call: Call) -> Shape:
        window = self.window(call)
        return 1, window.y.out, window.x.out, self.channels(call)

    def params(self, call: Call) -> Any:
        window, (low, high) = self.window(call), clamp_limits(call)
        multiplier, shift = np.array(self.multipliers(call), np.int64).T
        weights = call.input(1).data
        assert weights is not None
        return ConvParams(
            weights, folded_bias(self, call), multiplier.astype(np.int32), shift.astype(np.int8),
            window.y.size, window.x.size, call.x.shape[3], call.y.shape[2], call.y.shape[3],
            window.y.kernel, window.x.kernel, window.y.stride, window.x.stride,
            window.y.dilation, window.x.dilation, window.y.before, window.x.before,
            call.x.zero_point, low, high, call.y.zero_point,
        )  # fmt: skip


def random_geometry(rng: Generator) -> dict[str, Any]:
    """Attrs of a random convolution."""
    return {
        "padding": str(rng.choice(["SAME", "VALID"])),
        "stride_w": int(rng.integers(1, 5)),
        "stride_h": int(rng.integers(1, 5)),
        "fused_activation_function": str(rng.choice(ACTIVATIONS)),
        "dilation_w_factor": int(rng.choice([1, 1, 2, 3])),
        "dilation_h_factor": int(rng.choice([1, 1, 2, 3])),
    }
