"""DEPTHWISE_CONV_2D for cores with the DSP extension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ops._quantized import clamp_limits
from ...ops._weighted import folded_bias
from ...ops.base import I8, I16, I32, U8, Call, I8s, I32s, U8s, note
from ...ops.depthwise_conv_2d import DepthwiseConv2D
from ._depthwise import AWAY, GROUP, SLOW, TAPS, Lines, kinds, lines, narrowed, packed_kinds, packed_weights
from ._requant import Scaling, accumulator_range

COLUMN_BYTES = 32  # of scratch, for a pixel along a line
CHANNEL_BYTES = 36  # sizeof(tin_dw_channel)


class DepthwiseConv2DDsp(DepthwiseConv2D):
    """Windows of up to 3x3 pixels with strides 1 and 2. Four channels at a time walk over the whole image along its
    longer side: six multiply-accumulate instructions an output, and two to requantize."""

    arch = "dsp"
    extra_sources = ("arch/dsp/depthwise_columns.S", "arch/dsp/depthwise_lines.S")

    parts: ClassVar[Mapping[str, str]] = {
        "stride2": "stride 2",
        "away": "channels whose second rounding matters below zero",
        "slow": "channels without a short requantization",
        "pixelwise": "inputs of fewer than four channels, and rings of rows",
    }

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[in_c / 4][3 taps along a line][3 taps across][4 channels]")
        bias: I32s = note("[in_c], input offset folded in")
        multiplier: I32s = note("[in_c], Q31; less by what the shift has beyond 9 bits")
        shift: I8s = note("[in_c], power of two applied with the multiplier")
        kinds: U8s = note("[in_c / 4], TIN_DW_FAST, ..._AWAY or ..._SLOW of four channels, two bits each")
        in_h: I16 = note("input rows")
        in_w: I16 = note("input columns")
        in_c: I16 = note("channels")
        out_w: I16 = note("output columns")
        kernel_h: I16 = note("rows of the kernel, at most 3")
        kernel_w: I16 = note("columns of the kernel, at most 3")
        stride_h: I16 = note("rows between outputs, 1 or 2")
        stride_w: I16 = note("columns between outputs, 1 or 2")
        pad_top: I16 = note("rows of padding above")
        pad_left: I16 = note("columns of padding to the left")
        by_column: U8 = note("whether lines are columns of the image")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        channels = call.x.shape[3]
        return 1 < channels == self.channels(call) and lines(self.window(call), channels) is not None

    def lines(self, call: Call) -> Lines:
        found = lines(self.window(call), call.x.shape[3])
        assert found is not None
        return found

    def scratch_bytes(self, call: Call) -> int:
        along = self.lines(call).along
        return 2 * GROUP * CHANNEL_BYTES + COLUMN_BYTES * ((along.out - 1) * along.stride + TAPS)

    def separation(self, call: Call, index: int) -> int | None:
        """None: some channels are written all over the image before others are read. See `in_place`."""
        return None

    def in_place(self, call: Call, index: int) -> bool:
        """Whether the output may begin exactly where the input does, if one call computes all rows."""
        return self.lines(call).in_place()

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        kind = set(kinds(self.scaling(call)).tolist())
        used = {
            "stride2": self.lines(call).along.stride == 2,
            "away": AWAY in kind,
            "slow": SLOW in kind,
            "pixelwise": call.x.shape[3] < GROUP,
        }
        return frozenset(part for part, needed in used.items() if needed)

    def scaling(self, call: Call) -> Scaling:
        weights, bias, (low, high) = call.input(1).data, folded_bias(self, call), clamp_limits(call)
        assert weights is not None
        multiplier, shift = np.array(self.multipliers(call), np.int64).T
        least, most = accumulator_range(weights.reshape(-1, len(bias)).T, bias)
        return Scaling(multiplier, shift, call.y.zero_point, low, high, least, most)

    def params(self, call: Call) -> Params:
        weights, plan = call.input(1).data, self.lines(call)
        assert weights is not None
        window, bias, scale = self.window(call), folded_bias(self, call), self.scaling(call)
        y, x = (plan.along, plan.across) if plan.by_column else (plan.across, plan.along)
        kind = kinds(scale)
        multiplier = np.where(kind == SLOW, scale.multiplier, narrowed(scale))
        return self.Params(
            packed_weights(weights[0], plan.by_column), bias, multiplier.astype(np.int32),
            scale.shift.astype(np.int8), packed_kinds(kind),
            y.size, x.size, call.x.shape[3], x.out, y.kernel, x.kernel, y.stride, x.stride,
            window.y.before, window.x.before, int(plan.by_column), call.x.zero_point, scale.low, scale.high, scale.zero,
        )  # fmt: skip
