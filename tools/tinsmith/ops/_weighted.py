"""What convolutions and fully connected layers share: weights, bias, and scales a channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import fixed
from ..graph import Array
from ._interval import Interval, in_order
from ._quantized import FusedActivation, clamp_limits, clamped, factor_problem
from ._taps import Taps
from .base import Call, rule

BIAS_SCALE_TOLERANCE = 0.02  # kernel_util.cc, GetQuantizedConvolutionMultipler


class Weighted(FusedActivation):
    """Base of ops with int8 weights (input 1) and an optional int32 bias (input 2).

    Attrs carry `offset_folded`: False while the kernel must subtract the input's zero point from
    every input, True once a pass has moved it into the bias.
    """

    arity = (2, 3)
    channel_axis = 0  # the weights' dimension that counts output channels

    weight_rank = 4

    def channels(self, call: Call) -> int:
        """Number of output channels."""
        return call.input(1).shape[self.channel_axis]

    def weight_sums(self, call: Call, weights: Array) -> Array:
        """Sum of each output channel's weights, int64 [channels]."""
        axes = tuple(a for a in range(weights.ndim) if a != self.channel_axis)
        sums: Array = weights.astype(np.int64).sum(axis=axes)
        return sums

    @rule
    def weights_have_the_right_rank(self, call: Call) -> str | None:
        """Weights must have four dimensions for a convolution and two for a fully connected layer, none above 32767."""
        shape = call.input(1).shape
        return None if len(shape) == self.weight_rank and max(shape) <= 32767 else f"shape {list(shape)}"

    @rule
    def weights_are_constant_int8(self, call: Call) -> str | None:
        """Weights must be constant int8; dynamic, float and 4-bit weights are not supported yet."""
        w = call.input(1)
        if w.data is None:
            return f"{w.name!r} is computed at run time"
        return None if w.dtype == np.int8 else f"{w.name!r} is {w.dtype}"

    @rule
    def weights_are_symmetric(self, call: Call) -> str | None:
        """Weights must have positive scales, one for all or one an output channel, and zero points of 0."""
        quant, axis = call.input(1).quant, self.channel_axis
        if quant is None or not quant.scale:
            return "no scale"
        if not quant.per_tensor and (len(quant.scale) != self.channels(call) or quant.axis != axis):
            return (
                f"{len(quant.scale)} scales along dimension {quant.axis}, {self.channels(call)} channels along {axis}"
            )
        if any(quant.zero_point):
            return f"zero point {next(z for z in quant.zero_point if z)}"
        return None if all(0 < s < np.inf for s in quant.scale) else f"scale {min(quant.scale)}"

    @rule
    def bias_is_constant_int32(self, call: Call) -> str | None:
        """A bias must be constant int32 with one value an output channel."""
        b = call.optional(2)
        if b is None:
            return None
        if b.data is None or b.dtype != np.int32:
            return f"{b.name!r} is {'computed at run time' if b.data is None else b.dtype}"
        return None if b.size == self.channels(call) else f"{b.size} values for {self.channels(call)} channels"

    @rule
    def factors_fit(self, call: Call) -> str | None:
        """Input scale times weight scale must be below 2^30 output scales."""
        return factor_problem(max(self.factors(call)))

    def factors(self, call: Call) -> list[float]:
        """What turns accumulators into outputs, one for each output channel: products in double precision."""
        quant = call.input(1).quant
        assert quant is not None
        scales = quant.scale if not quant.per_tensor else quant.scale * self.channels(call)
        return [call.x.scale * s / call.y.scale for s in scales]

    def multipliers(self, call: Call) -> list[tuple[int, int]]:
        """(multiplier, shift) of each output channel."""
        return [fixed.quantize_multiplier(factor) for factor in self.factors(call)]

    def accumulators(self, call: Call, sums: Array, bias: Array | None) -> Array:
        """sums = sum of w * x over raw inputs; adds the bias and, unless folded, the input offset."""
        acc = sums if bias is None else sums + bias.astype(np.int64).reshape(-1)
        if not call.attrs.offset_folded:
            weights = call.input(1).data
            assert weights is not None
            acc = acc - call.x.zero_point * self.weight_sums(call, weights)
        return fixed.wrap32(acc)

    def requantized(self, call: Call, acc: Array) -> Array:
        """int8 output from int32 accumulators [..., channels]."""
        multiplier, shift = np.array(self.multipliers(call), np.int64).T
        return clamped(call, fixed.requantize(acc, multiplier, shift) + call.y.zero_point)

    # -- what shrinking needs to know --------------------------------------------------------------

    def taps(self, call: Call) -> Taps | None:
        """The weights as output x tap x input channel; None where they are not made like that."""
        return None

    def cut_weights(self, call: Call, kept_in: Array, kept_out: Array) -> Array:
        """The weights [in the op's own layout] of the channels kept, bool [in] and bool [out]."""
        raise NotImplementedError(self.name)

    def biased_attrs(self, call: Call) -> Any:
        """The attributes of the same op once a pass has given it a bias."""
        return call.attrs

    def centred_bias(self, call: Call) -> Array:
        """What an input of zero points gives: the bias less the input offset folded into it; int64 [channels]."""
        bias, weights = call.optional(2), call.input(1).data
        values: Array = np.zeros(self.channels(call), np.int64)
        if bias is not None and bias.data is not None:
            values = bias.data.astype(np.int64).reshape(-1)
        if call.attrs.offset_folded:
            assert weights is not None
            values = fixed.wrap32(values + call.x.zero_point * self.weight_sums(call, weights))
        return values

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        taps, x = self.taps(call), inputs[0]
        if taps is None or x is None:
            return Interval.whole(call.y)
        zero, bias = call.x.zero_point, self.centred_bias(call)
        low, high = (e + bias for e in taps.bounds(Interval(x.low - zero, x.high - zero)))
        known = in_order(low, high, np.array([shift for _, shift in self.multipliers(call)], np.int64))
        least, most = clamp_limits(call)
        ends = (self.requantized(call, np.where(known, e, 0)).astype(np.int64) for e in (low, high))
        return Interval(*(np.where(known, e, wide) for e, wide in zip(ends, (min(least, most), most), strict=True)))


def folded_bias(op: Weighted, call: Call) -> Array:
    """The bias with the input offset in it: b - zx * sum(w), int32, wrapped as the accumulator would."""
    weights, bias = call.input(1).data, call.optional(2)
    assert weights is not None
    start = np.zeros(op.channels(call), np.int64)
    if bias is not None and bias.data is not None:
        start = bias.data.astype(np.int64).reshape(-1)
    if call.attrs.offset_folded:
        return start.astype(np.int32)
    return fixed.wrap32(start - call.x.zero_point * op.weight_sums(call, weights)).astype(np.int32)


def random_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """int8 weights, mostly in [-127, 127] as converters make them, at times all extreme."""
    if rng.random() < 0.2:
        return rng.choice(np.array([-128, -127, 127], np.int8), shape)
    return rng.integers(-127 - int(rng.random() < 0.5), 128, shape).astype(np.int8)
