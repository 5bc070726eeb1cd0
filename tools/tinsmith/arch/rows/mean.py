"""MEAN, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...ops.base import Call
from ...ops.mean import Mean
from ...ops.params import I8, I32, note
from ...ops.tensors import image_rows
from ._streamed import FORMS, Summing


class MeanRows(Summing, Mean):
    """Means over all rows of an image, row by row: keeps a sum for every output."""

    @dataclass(frozen=True)
    class Params:
        in_h: I32 = note("input rows")
        pixels: I32 = note("values of a row that are summed for an output")
        inner: I32 = note("values between two of them; outputs")
        form: I8 = note("of the sums: 0 packed, 1 narrow, 2 wide")
        offset: I32 = note("added to a sum as it is kept: less zero points, and 128 a value if packed")
        multiplier: I32 = note("Q31, the division by the number of values in it")
        shift: I32 = note("power of two applied with the multiplier")
        out_zero: I32 = note("zero point of the output")

    def suits(self, call: Call) -> bool:
        """Images of several rows that are averaged over all rows, whatever else they are averaged over."""
        outer, _, inner = self.split(call)
        return self.has_rows(call) and outer == 1 and image_rows(call.x)[1] % inner == 0

    def summed(self, call: Call) -> tuple[int, int]:
        _, count, inner = self.split(call)
        return count, inner

    def params(self, call: Call) -> Any:
        (rows, nbytes), (count, inner) = image_rows(call.x), self.summed(call)
        form = FORMS.index(self.form(call))
        excess = call.x.zero_point + (128 if self.form(call) == "packed" else 0)
        return self.Params(
            rows, nbytes // inner, inner, form, -excess * count, *self.scale(call), call.y.zero_point,
        )  # fmt: skip
