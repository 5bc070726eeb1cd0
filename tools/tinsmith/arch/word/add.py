"""ADD for plain 32-bit cores: one linear form of both bytes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ...ops._quantized import clamp_limits
from ...ops.add import Add, loop_steps
from ...ops.base import Call
from ...ops.params import I8, I32, note
from ._sums import Form, find_form


class AddWord(Add):
    """Adds as (a * x1 + b * x2 + c) >> shift where these constants exist; they were tried on all pairs
    of bytes."""

    arch = "word"

    @dataclass(frozen=True)
    class Params:
        count: I32 = note("values a row")
        a: I32 = note("factor of input 0")
        b: I32 = note("factor of input 1")
        c: I32 = note("offset")
        shift: I8 = note("power of two by which sums are divided")
        low: I8 = note("least output")
        high: I8 = note("greatest output")

    def suits(self, call: Call) -> bool:
        """Sums without broadcasting along columns or channels for which there is such a form."""
        outer, _, _, a_step, _, b_step = loop_steps(call)
        return outer == 1 and a_step == b_step == 1 and self.form(call) is not None

    def params(self, call: Call) -> Any:
        form, (low, high) = self.form(call), clamp_limits(call)
        assert form is not None
        return self.Params(loop_steps(call)[1], form.a, form.b, form.c, form.shift, min(low, high), high)

    def form(self, call: Call) -> Form | None:
        """The form that equals the reference on every pair of bytes."""
        tensors = (call.input(0), call.input(1), call.y)
        numbers = (*((t.scale, t.zero_point) for t in tensors), clamp_limits(call))
        return form_of(Case(numbers, self, call))


@dataclass(frozen=True)
class Case:
    """A call as far as its bytes' results depend on it."""

    numbers: tuple[tuple[float, float], ...]
    op: AddWord = field(compare=False)
    call: Call = field(compare=False)


@lru_cache(maxsize=512)
def form_of(case: Case) -> Form | None:
    call, every = case.call, np.arange(-128, 128).astype(np.int8)
    column, line = every.reshape(256, 1), every.reshape(1, 256)
    inputs = (replace(call.input(0), shape=(256, 1)), replace(call.input(1), shape=(1, 256)))
    table = replace(call, inputs=inputs, outputs=(replace(call.y, shape=(256, 256)),))
    low, high = clamp_limits(call)
    ratios = call.input(0).scale / call.y.scale, call.input(1).scale / call.y.scale
    return find_form(ratios, case.op.reference(table, [column, line]), min(low, high), high)
