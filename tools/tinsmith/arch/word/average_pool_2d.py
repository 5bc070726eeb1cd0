"""AVERAGE_POOL_2D for plain 32-bit cores: sums of four channels in two words."""

from __future__ import annotations

from ...ops.average_pool_2d import AveragePool2D
from ...ops.base import Call

MOST_PIXELS = 256  # whose bytes, plus 128 each, add up to 16 bits


class AveragePool2DWord(AveragePool2D):
    """Adds four channels at a time, two sums of 16 bits in a word."""

    arch = "word"

    def suits(self, call: Call) -> bool:
        """A multiple of four channels, so that words are aligned, and windows of at most 256 pixels in the image."""
        y, x = self.window(call).y, self.window(call).x
        return call.x.shape[3] % 4 == 0 and min(y.kernel, y.size) * min(x.kernel, x.size) <= MOST_PIXELS
