"""What kernels have in common whose steps are rows of the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ...graph import Tensor
from ...ops.base import ROWS, Call, Op
from ...ops.tensors import flat, image_rows

# Forms of sums (tin_sums.h).
FORMS = ("packed", "narrow", "wide")
# So many bytes that 128 is added to sum to at most 65535, and so many int8 to at least -32768.
MOST_PACKED, MOST_NARROW = 257, 256


class Streamed(Op):
    """Base of kernels that read every input row once, keep sums, and write all their output in the last step."""

    arch = "rows"
    purpose = ROWS
    ring_parts: ClassVar[frozenset[str] | None] = frozenset()

    def has_rows(self, call: Call) -> bool:
        """Whether the input has several rows: with a single one the ordinary kernel sees as little of it, and
        keeps no state."""
        return image_rows(call.x)[0] > 1

    def rows(self, call: Call, tensor: Tensor) -> tuple[int, int]:
        return super().rows(call, tensor) if tensor is call.y else image_rows(tensor)

    def step_count(self, call: Call) -> int:
        return image_rows(call.x)[0]

    def rows_done(self, call: Call, steps: int) -> int:
        return self.rows(call, call.y)[0] if steps >= self.step_count(call) else 0

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def last_input_row(self, call: Call, index: int, row: int) -> int:
        return row

    def separation(self, call: Call, index: int) -> int | None:
        return None


class Summing(Streamed):
    """Base of kernels that keep sums of pixels, in as few bytes as hold them."""

    parts: ClassVar[Mapping[str, str]] = {
        "packed": "sums of 16 bits, two at a time: up to 257 values, multiples of four channels",
        "plain": "other sums, one at a time",
    }

    def summed(self, call: Call) -> tuple[int, int]:
        """(most values that a sum has, channels of a pixel)."""
        raise NotImplementedError(self.name)

    def form(self, call: Call) -> str:
        values, channels = self.summed(call)
        if channels % 4 == 0 and values <= MOST_PACKED:
            return "packed"
        return "narrow" if values <= MOST_NARROW else "wide"

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        return frozenset({"packed" if self.form(call) == "packed" else "plain"})

    def state_bytes(self, call: Call) -> int:
        return flat(call.y) * (4 if self.form(call) == "wide" else 2)
