"""Weights seen as output x tap x input channel: which products can occur, and which are always the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Array
from ._interval import Interval
from ._window import Axis, Window


@dataclass(frozen=True, eq=False)
class Taps:
    """The weights of one op. All inputs here are centred: quantized value less zero point.

    A tap lies inside the image at every output pixel (`always`), at some, or at none (not `ever`). Outside, its
    input is zero. Fully connected layers have one tap for each time that the input's channels repeat in a row.
    """

    weights: Array  # int8 [out, taps, in]; in is 1 if there is a `source`
    ever: Array  # bool [taps]
    always: Array  # bool [taps]
    source: Array | None = None  # depthwise: the only input channel of each output channel

    def bounds(self, x: Interval) -> tuple[Array, Array]:
        """Least and greatest sum of products of each output channel, int64 [out]."""
        low, high = (self.spread(e).astype(np.float64) for e in (x.low, x.high))
        always, ever = self.always[:, None], self.ever[:, None]
        low = np.where(always, low, np.minimum(low, 0)) * ever
        high = np.where(always, high, np.maximum(high, 0)) * ever
        # Exact in float64: every sum is an integer far below 2^53.
        up, down = np.maximum(self.weights, 0).astype(np.float64), np.minimum(self.weights, 0).astype(np.float64)
        least, greatest = (up * low + down * high).sum(axis=(1, 2)), (up * high + down * low).sum(axis=(1, 2))
        return least.astype(np.int64), greatest.astype(np.int64)

    def spread(self, channels: Array) -> Array:
        """A value of each input channel, in a shape that broadcasts with the weights."""
        return channels[None, None, :] if self.source is None else channels[self.source][:, None, None]

    def reads(self, x: Interval) -> Array:
        """Whether an output channel varies with an input channel, or with where in the image it is; bool [out, in].

        A constant adds the same to every pixel if no tap that it counts for is outside the image at some pixels
        and inside at others, or if it equals the padding.
        """
        nonzero = self.weights != 0
        seen = nonzero[:, self.ever].any(axis=1)
        uneven = nonzero[:, self.ever & ~self.always].any(axis=1)
        return np.where(x.constant & (x.low == 0), False, np.where(x.constant, uneven, seen))

    def constant_part(self, values: Array) -> Array:
        """What input channels of these values [in] add to the outputs that they do not vary; int64 [out]."""
        sums: Array = self.weights[:, self.ever].astype(np.int64).sum(axis=1) @ values
        return sums


def inside(window: Window) -> tuple[Array, Array]:
    """(ever, always) of all taps of a window, row by row; bool [kernel_h * kernel_w]."""
    (ever_y, always_y), (ever_x, always_x) = along(window.y), along(window.x)
    return np.outer(ever_y, ever_x).reshape(-1), np.outer(always_y, always_x).reshape(-1)


def along(axis: Axis) -> tuple[Array, Array]:
    """(ever, always) of the taps along one axis: whether they lie inside the image at some, or at all outputs."""
    first = np.arange(axis.kernel) * axis.dilation - axis.before
    last = first + (axis.out - 1) * axis.stride
    entry = np.maximum(0, -(first // axis.stride))  # the first output at which the tap has passed the near border
    ever = (entry < axis.out) & (first + entry * axis.stride < axis.size)
    return ever, (first >= 0) & (last < axis.size)
