"""Rules for ops that Tinsmith computes while it compiles."""

from __future__ import annotations

from .base import Call, Op, rule


class Folded(Op):
    """An op on shapes: it must have constant inputs, and never reaches the device."""

    lowered = "a constant"

    @rule
    def inputs_are_constant(self, call: Call) -> str | None:
        """This op is computed while compiling, so its inputs must be constants or shapes."""
        moving = [t.name for t in call.inputs if t is not None and t.data is None]
        return f"{moving[0]!r} is computed at run time" if moving else None
