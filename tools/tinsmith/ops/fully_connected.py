"""FULLY_CONNECTED: a matrix times every row of the input, int8."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import ACTIVATIONS, example, quantized, random_shape
from ._interval import channel_count
from ._quantized import clamp_limits
from ._taps import Taps
from ._weighted import BIAS_SCALE_TOLERANCE, Weighted, folded_bias, random_weights
from .base import Call, internal, rule
from .params import I8, I32, I8s, I32s, note
from .tensors import Shape


class FullyConnected(Weighted):
    """Multiplies rows of `in_c` values by weights [out, in], adds a bias, requantizes, clamps."""

    name = "FULLY_CONNECTED"
    onnx = ("Gemm", "MatMul")
    max_version = 14
    weight_rank = 2

    @dataclass(frozen=True)
    class Attrs:
        fused_activation_function: str = "NONE"
        weights_format: str = "DEFAULT"
        keep_num_dims: bool = False
        asymmetric_quantize_inputs: bool = False
        clamp: tuple[int, int] | None = internal(None)
        offset_folded: bool = internal(False)
        single_product: bool = internal(False)

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[out_c][in_c]")
        bias: I32s = note("[out_c], input offset folded in")
        multiplier: I32s = note("Q31, [out_c] or one for all")
        shift: I8s = note("power of two applied with the multiplier, as many")
        in_c: I32 = note("values a row of the input")
        out_c: I32 = note("values a row of the output")
        per_channel: I8 = note("1: a multiplier a channel; 0: one for all")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    @rule
    def weights_are_in_rows(self, call: Call) -> str | None:
        """Weights must be stored row by row (weights_format DEFAULT)."""
        return None if call.attrs.weights_format == "DEFAULT" else str(call.attrs.weights_format)

    @rule
    def input_divides_into_rows(self, call: Call) -> str | None:
        """The input must be a whole number of rows as long as those of the weights."""
        depth = call.input(1).shape[1]
        return None if call.x.size % depth == 0 else f"{call.x.size} inputs for rows of {depth}"

    @rule
    def bias_scale_fits(self, call: Call) -> str | None:
        """The scale of the bias must be that of input times weights, within 2 % of the output's scale."""
        bias, quant = call.optional(2), call.input(1).quant
        if bias is None or quant is None or not quant.per_tensor or bias.quant is None or not bias.quant.scale:
            return None
        off = abs(call.x.scale * quant.scale[0] - bias.quant.scale[0]) / call.y.scale
        return None if off <= BIAS_SCALE_TOLERANCE else f"off by {off:.3g} of the output's scale"

    def output_shape(self, call: Call) -> Shape:
        units, depth = call.input(1).shape
        rows = call.x.size // depth
        # Files differ in whether they keep leading dimensions; what the file says holds if it fits.
        if call.y.size == rows * units and call.y.shape[-1:] == (units,):
            return call.y.shape
        return rows, units

    def has_single_product(self, call: Call) -> bool:
        """Whether the scales of input and weights are multiplied in single precision: in files, without a bias."""
        quant = call.input(1).quant
        assert quant is not None
        return bool(call.attrs.single_product or (quant.per_tensor and call.optional(2) is None))

    def factors(self, call: Call) -> list[float]:
        quant = call.input(1).quant
        assert quant is not None
        if not self.has_single_product(call):
            return super().factors(call)
        # GetQuantizedConvolutionMultipler without a bias multiplies the scales in single precision.
        with np.errstate(over="ignore"):
            product = float(np.float32(call.x.scale) * np.float32(quant.scale[0]))
        return [product / call.y.scale] * self.channels(call)

    def macs(self, call: Call) -> int:
        return call.y.size * call.input(1).shape[1]

    def rows(self, call: Call, tensor: Tensor) -> tuple[int, int]:
        units, depth = call.input(1).shape
        return (call.y.size // units, units) if tensor is call.y else (call.x.size // depth, depth)

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        x, w, b = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
        assert x is not None and w is not None
        sums = x.reshape(-1, w.shape[1]).astype(np.float64) @ w.T.astype(np.float64)
        return self.requantized(call, self.accumulators(call, sums.astype(np.int64), b)).reshape(call.y.shape)

    def params(self, call: Call) -> Any:
        low, high = clamp_limits(call)
        quant, weights = call.input(1).quant, call.input(1).data
        assert quant is not None and weights is not None
        scales = self.multipliers(call) if not quant.per_tensor else self.multipliers(call)[:1]
        multiplier, shift = np.array(scales, np.int64).T
        return self.Params(
            weights, folded_bias(self, call), multiplier.astype(np.int32), shift.astype(np.int8),
            weights.shape[1], weights.shape[0], int(not quant.per_tensor), low, high, call.y.zero_point,
        )  # fmt: skip

    def taps(self, call: Call) -> Taps | None:
        weights, channels = call.input(1).data, channel_count(call.x.shape)
        assert weights is not None
        units, depth = weights.shape
        if depth % channels:
            return None
        everywhere = np.ones(depth // channels, bool)
        return Taps(weights.reshape(units, -1, channels), everywhere, everywhere)

    def cut_weights(self, call: Call, kept_in: Array, kept_out: Array) -> Array:
        weights = call.input(1).data
        assert weights is not None
        cut = weights[kept_out].reshape(int(kept_out.sum()), -1, len(kept_in))[:, :, kept_in]
        return np.ascontiguousarray(cut.reshape(len(cut), -1))

    def biased_attrs(self, call: Call) -> Any:
        return replace(call.attrs, single_product=self.has_single_product(call))

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            shape = random_shape(rng, int(rng.integers(2, 5)), 6)
            if len(shape) == 2:
                shape = int(rng.choice([1, 1, 1, 3])), int(rng.integers(1, 70))
            depth, units = math.prod(shape[int(rng.integers(1, len(shape))) :]), int(rng.integers(1, 20))
            attrs = self.Attrs(fused_activation_function=str(rng.choice(ACTIVATIONS)))
            x = quantized(rng, "x", shape)
            weights = random_weights(rng, (units, depth))
            graph = example(self, rng, x, weights, attrs, per_channel=bool(rng.random() < 0.5))
            if graph is not None:
                yield graph
