"""DEPTHWISE_CONV_2D for cores with the DSP extension, where rows stream, and where scratch is dear."""

from __future__ import annotations

from typing import ClassVar

from ...ops.base import LEAN, ROWS, Call
from ...ops.depthwise_conv_2d import DepthwiseConv2D
from ._depthwise import Lines, row_lines
from .depthwise_conv_2d import DepthwiseConv2DDsp

STRIP = 8  # columns of a row that are computed together where scratch is dear


class DepthwiseConv2DDspRows(DepthwiseConv2DDsp):
    """The same C function with other parameters: lines are rows, each is finished before the next one begins, and
    three rows of any ring are all that it reads. It keeps nothing, so that a call costs the same for few rows as for
    many; where the whole image is at hand, the other form is faster."""

    purpose = ROWS
    ring_parts: ClassVar[frozenset[str] | None] = frozenset()

    def find_lines(self, call: Call) -> Lines | None:
        return row_lines(self.window(call))

    def separation(self, call: Call, index: int) -> int | None:
        return DepthwiseConv2D.separation(self, call, index)

    def in_place(self, call: Call, index: int) -> bool:
        return False


class DepthwiseConv2DDspLean(DepthwiseConv2DDspRows):
    """The same, a strip of each row at a time."""

    purpose = LEAN
    pace = 1.2

    def strip(self, call: Call) -> int:
        columns = super().strip(call)
        return -(-columns // -(-columns // STRIP))
