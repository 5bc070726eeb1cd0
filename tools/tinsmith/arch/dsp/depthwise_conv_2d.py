"""DEPTHWISE_CONV_2D for cores with the DSP extension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ops._quantized import clamp_limits
from ...ops._weighted import folded_bias
from ...ops.base import Call
from ...ops.depthwise_conv_2d import DepthwiseConv2D
from ...ops.params import I8, I16, I32, U8, I8s, I32s, U8s, note
from ._depthwise import AWAY, GROUP, SLOW, TAPS, WIDE, Lines, Scales, lines, packed_kinds, packed_weights, scales
from ._requant import Scaling, accumulator_range

CHANNEL_BYTES = 32  # sizeof(tin_dw_channel)
WIDE_COLUMN, NARROW_COLUMN = 32, 24  # bytes of scratch for a pixel along a line, with stride 1 and 2


class DepthwiseConv2DDsp(DepthwiseConv2D):
    """Windows of up to 3x3 pixels with strides 1 and 2. Four channels at a time walk over the whole image along its
    longer side: six multiply-accumulate instructions an output, and two to requantize."""

    arch = "dsp"
    extra_sources = ("arch/dsp/depthwise_columns.S", "arch/dsp/depthwise_lines.S")

    parts: ClassVar[Mapping[str, str]] = {
        "pairs": "stride 1",
        "triples": "stride 2, and rows one by one",
        "rows": "rows one by one",
        "stride2": "stride 2 along the lines",
        "away": "channels whose second rounding matters below zero",
        "wide": "channels with a scale of 1/8 to 1/2",
        "slow": "channels without a short requantization",
        "pixelwise": "inputs of fewer than four channels, and columns of a ring of rows",
    }

    ring_parts: ClassVar[frozenset[str] | None] = frozenset({"pixelwise"})

    @dataclass(frozen=True)
    class Params:
        weights: I8s = note("[in_c][3 taps along a line][w0 w1 w1 w2 across]")
        scales: I32s = note("[in_c][multiplier, rounding and bias], see depthwise_lines.h")
        shift: I8s = note("[in_c], power of two applied with the multiplier; [1] if all channels are of fast kinds")
        kinds: U8s = note("[in_c / 4], TIN_DW_FAST, ..._AWAY, ..._SLOW or ..._WIDE of four channels, two bits each")
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
        by_row: U8 = note("whether a row is finished before the next one begins")
        pairs: U8 = note("whether lines are unpacked in pairs and kept")
        strip: I16 = note("columns of a row that are computed together; all, unless rows come one by one")
        channels: U8 = note("channels, of 32 bytes, that scratch begins with")
        pad_value: I8 = note("what padding holds: the input's zero point")
        low: I8 = note("least output")
        high: I8 = note("greatest output")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        channels = call.x.shape[3]
        return 1 < channels == self.channels(call) and self.find_lines(call) is not None

    def find_lines(self, call: Call) -> Lines | None:
        return lines(self.window(call), call.x.shape[3])

    def lines(self, call: Call) -> Lines:
        found = self.find_lines(call)
        assert found is not None
        return found

    def scratch_bytes(self, call: Call) -> int:
        plan = self.lines(call)
        column = WIDE_COLUMN if plan.along.stride == 1 else NARROW_COLUMN
        outputs = self.strip(call) if plan.by_row else plan.along.out
        return CHANNEL_BYTES * self.held(call) + column * ((outputs - 1) * plan.along.stride + TAPS)

    def strip(self, call: Call) -> int:
        """Columns of a row that are computed together."""
        return call.y.shape[2]

    def held(self, call: Call) -> int:
        """Channels in scratch, those beside them included."""
        if clamp_limits(call)[0] < call.y.zero_point:  # AWAY
            return 4 * GROUP
        return 2 * GROUP if self.lines(call).pairs else GROUP

    def separation(self, call: Call, index: int) -> int | None:
        """None: some channels are written all over the image before others are read. See `in_place`."""
        return None

    def in_place(self, call: Call, index: int) -> bool:
        """Whether the output may begin exactly where the input does, if one call computes all rows."""
        return self.lines(call).in_place()

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        kind, plan = set(self.scales(call).kind.tolist()), self.lines(call)
        used = {
            "pairs": plan.pairs,
            "triples": not plan.pairs,
            "rows": plan.by_row,
            "stride2": plan.along.stride == 2,
            "away": AWAY in kind,
            "wide": WIDE in kind,
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

    def scales(self, call: Call) -> Scales:
        return scales(self.scaling(call), folded_bias(self, call))

    def params(self, call: Call) -> Params:
        weights, plan = call.input(1).data, self.lines(call)
        assert weights is not None
        window, s, found = self.window(call), self.scaling(call), self.scales(call)
        y, x = (plan.along, plan.across) if plan.by_column else (plan.across, plan.along)
        shift = s.shift if np.isin(found.kind, (AWAY, SLOW)).any() else s.shift[:1]
        return self.Params(
            packed_weights(weights[0], plan.by_column),
            np.stack([found.multiplier, found.start], axis=1).astype(np.int32), shift.astype(np.int8),
            packed_kinds(found.kind), y.size, x.size, call.x.shape[3], x.out, y.kernel, x.kernel, y.stride, x.stride,
            window.y.before, window.x.before, int(plan.by_column), int(plan.by_row), int(plan.pairs), self.strip(call),
            self.held(call), call.x.zero_point, s.low, s.high, s.zero,
        )  # fmt: skip
