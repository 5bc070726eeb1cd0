"""What kernels have in common whose steps are rows of the input."""

from __future__ import annotations

from ...graph import Tensor
from ...ops.base import Call, Op, image_rows

# So many int8 values add up to no less than -32768 and no more than 32512.
NARROW = 256


class Streamed(Op):
    """Base of kernels that read every input row once, keep sums, and write all their output in the last step."""

    arch = "rows"

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
