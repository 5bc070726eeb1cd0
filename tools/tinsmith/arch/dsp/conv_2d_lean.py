"""CONV_2D for cores with the DSP extension, where scratch is dear: pixel by pixel, as a fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

from ...ops._conv import ConvParams
from ...ops.base import I8, I16, I32, LEAN, Call, I32s, note
from ...ops.conv_2d import Conv2D
from ._dense import dense, quad_steps


class Conv2DDspLean(Conv2D):
    """Puts the window of one pixel together, a byte a tap, if it does not lie together anyway."""

    arch = "dsp"
    purpose = LEAN
    pace = 3.0
    variant = LEAN
    extra_sources = ("arch/dsp/dense.S",)

    @dataclass(frozen=True)
    class Params:
        weights: I32s = note("[quads][taps / 4][2][2]: lanes of 256 * w1 + w0")
        biases: I32s = note("[pairs][2]: 256 * b1 + b0, b0")
        scales: I32s = note("[pairs or one][6]: multiplier, constant, shift of the upper, then of the lower channel")
        scale_step: I32 = note("bytes from a pair's scales to the next one's")
        in_h: I16 = note("input rows")
        in_w: I16 = note("input columns")
        in_c: I16 = note("input channels")
        out_w: I16 = note("output columns")
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

    def suits(self, call: Call) -> bool:
        """Layers all of whose channels dense.S may scale."""
        weights = call.input(1).data
        return weights is not None and not dense(self, call, quad_steps(weights.reshape(len(weights), -1))).wide

    def scratch_bytes(self, call: Call) -> int:
        """Room for one window, unless every one lies together in the image."""
        _, kernel_h, kernel_w, in_c = call.input(1).shape
        window = self.window(call)
        together = kernel_h == 1 and (kernel_w == 1 or window.x.dilation == 1) and not window.reaches_out
        return 0 if together else kernel_h * kernel_w * in_c

    def params(self, call: Call) -> Params:
        base: ConvParams = super().params(call)
        found = dense(self, call, quad_steps(base.weights.reshape(base.out_c, -1)))
        return self.Params(
            found.weights, found.biases, found.scales, found.scale_step,
            base.in_h, base.in_w, base.in_c, base.out_w, base.out_c, base.kernel_h, base.kernel_w,
            base.stride_h, base.stride_w, base.dilation_h, base.dilation_w, base.pad_top, base.pad_left,
            base.pad_value, base.low, base.high,
        )  # fmt: skip
