"""MEAN, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ...ops.base import I8, I32, Call, image_rows, note
from ...ops.mean import Mean
from ._streamed import NARROW, Streamed


class MeanRows(Streamed, Mean):
    """Means over all rows of an image, row by row: keeps a sum for every output."""

    @dataclass(frozen=True)
    class Params:
        in_h: I32 = note("input rows")
        pixels: I32 = note("values of a row that are summed for an output")
        inner: I32 = note("values between two of them; outputs")
        wide: I8 = note("1: sums of 32 bits; 0: of 16 bits")
        offset: I32 = note("added to a sum: what zero points would have added up to, negated")
        multiplier: I32 = note("Q31, the division by the number of values in it")
        shift: I32 = note("power of two applied with the multiplier")
        out_zero: I32 = note("zero point of the output")

    parts: ClassVar[dict[str, str]] = {
        "narrow": "sums of 16 bits: means of up to 256 values",
        "wide": "sums of 32 bits: means of more values",
    }

    def suits(self, call: Call) -> bool:
        """Images of several rows that are averaged over all rows, whatever else they are averaged over."""
        outer, _, inner = self.split(call)
        return self.has_rows(call) and outer == 1 and image_rows(call.x)[1] % inner == 0

    def is_wide(self, call: Call) -> bool:
        """Whether a sum may need more than 16 bits."""
        return self.split(call)[1] > NARROW

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        return frozenset({"wide" if self.is_wide(call) else "narrow"})

    def state_bytes(self, call: Call) -> int:
        return self.split(call)[2] * (4 if self.is_wide(call) else 2)

    def params(self, call: Call) -> Any:
        (rows, nbytes), (_, count, inner) = image_rows(call.x), self.split(call)
        return self.Params(
            rows, nbytes // inner, inner, int(self.is_wide(call)), -call.x.zero_point * count,
            *self.scale(call), call.y.zero_point,
        )  # fmt: skip
