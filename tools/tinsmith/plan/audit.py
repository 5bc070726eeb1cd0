"""Follows a plan byte by byte: does every read find what it expects?

Outputs may be right by chance where memory was overwritten, so plans are not judged by outputs alone. This shares no
code with what made the plan but the ops' own statements about the rows that they read and write.
"""

from __future__ import annotations

import numpy as np

from ..errors import TinsmithError
from ..graph import Array
from . import Plan, scratch_name
from .lifetimes import STATE
from .schedule import FEED, Run
from .tasks import Read, Task

NOBODY = -1


class Overwritten(TinsmithError):
    """A plan lets a kernel read bytes that are not what they should be."""


class Ledger:
    """For each byte of the arena: whose it is, and which of the owner's bytes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.owner: Array = np.full(plan.arena_bytes, NOBODY, np.int64)
        self.place: Array = np.zeros(plan.arena_bytes, np.int64)
        names = dict.fromkeys([*plan.views.values(), *(b.name for b in plan.buffers)])
        self.number = {name: i for i, name in enumerate(names)}

    def put(self, name: str, start: int, end: int, first: int = 0) -> None:
        """Bytes [start, end) of the arena become the bytes from `first` on of `name`."""
        if not 0 <= start <= end <= len(self.owner):
            raise Overwritten(f"{name} lies at {start} to {end}, outside the arena of {len(self.owner)} bytes")
        self.owner[start:end] = self.number.get(name, NOBODY)
        self.place[start:end] = np.arange(first, first + end - start)

    def expect(self, name: str, start: int, end: int, first: int, reader: str) -> None:
        """Raises Overwritten unless bytes [start, end) of the arena are those from `first` on of `name`."""
        own = self.owner[start:end] == self.number[name]
        if not (own & (self.place[start:end] == np.arange(first, first + end - start))).all():
            raise Overwritten(f"{reader} reads bytes {start} to {end} of the arena, which no longer hold {name!r}")

    def put_row(self, name: str, row: int) -> None:
        start, end = self.plan.row_range(name, row)
        self.put(name, start, end, row * (end - start))

    def expect_row(self, name: str, row: int, reader: str) -> None:
        start, end = self.plan.row_range(name, row)
        self.expect(name, start, end, row * (end - start), reader)


def audit(plan: Plan) -> None:
    """Raises Overwritten if any run of the plan would read, keep or return anything but what it should."""
    ledger = Ledger(plan)
    for name in plan.graph.inputs:
        for row in range(0 if name in plan.fed else plan.buffer(name).rows):
            ledger.put_row(name, row)
    for run in plan.runs:
        if run.node == FEED:
            for name in plan.fed:
                ledger.put_row(name, run.first)
            continue
        follow(ledger, plan.tasks[run.node], run)
    for name in plan.graph.outputs:
        root = plan.views[name]
        for row in range(plan.buffer(name).rows):
            ledger.expect_row(root, row, "the caller")


def follow(ledger: Ledger, task: Task, run: Run) -> None:
    """One call of a kernel; an exact one writes a row before it has read what only later rows need."""
    plan, reader = ledger.plan, f"node {run.node} ({task.call.node.op})"
    output = task.call.y.name
    state, scratch = (plan.by_name.get(name) for name in (f"{STATE}{output}", scratch_name(task.call.node)))
    parts = [(run.first, run.end)] if not task.exact else [(step, step + 1) for step in range(run.first, run.end)]
    for first, end in parts:
        if scratch:
            ledger.put("", scratch.offset, scratch.end)
        if state and first > 0:
            ledger.expect(state.name, state.offset, state.end, 0, reader)
        if state:
            ledger.put(state.name, state.offset, state.end)
        for read in task.reads:
            expect_steps(ledger, task, read, range(first, end), reader)
        for row, born in enumerate(task.born):
            if first <= born < end:
                ledger.put_row(task.buffer, row)
        if scratch:
            ledger.put("", scratch.offset, scratch.end)
        if state and end < task.steps:
            ledger.expect(state.name, state.offset, state.end, 0, reader)


def expect_steps(ledger: Ledger, task: Task, read: Read, steps: range, reader: str) -> None:
    """What some steps read through one input: rows of a ring, or bytes of a whole tensor, in the kernel's own rows."""
    tensor = task.call.input(read.index)
    if ledger.plan.is_ring(tensor.name):
        for row in range(
            min(low for low, _ in read.windows[steps.start : steps.stop]), read.last(steps.start, steps.stop) + 1
        ):
            ledger.expect_row(read.buffer, row, reader)
        return
    (count, nbytes), start = task.op.rows(task.call, tensor), ledger.plan.offset(tensor.name)
    for step in steps:
        low = task.op.first_input_row(task.call, read.index, step)
        end = count if low is None else min(count, task.op.last_input_row(task.call, read.index, step) + 1)
        first = (low or 0) * nbytes
        ledger.expect(read.buffer, start + first, max(start + first, start + end * nbytes), first, reader)


__all__ = ["Overwritten", "audit"]
