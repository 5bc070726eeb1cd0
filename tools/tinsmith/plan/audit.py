"""Follows a plan byte by byte: does every read find what it expects?

Outputs may be right by chance where memory was overwritten, so plans are not judged by outputs alone. This shares no
code with what made the plan but the ops' own statements about the rows that they read and write.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..graph import Array
from . import Plan, scratch_name
from .lifetimes import STATE
from .memories import ADDRESSES
from .schedule import FEED, Run
from .tasks import MOST_ROWS, Read, Task

NOBODY = -1


class Overwritten(Exception):
    """A plan lets a kernel read bytes that are not what they should be: a bug of the planner, and nothing else."""


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
    addresses = plan.by_name.get(ADDRESSES)
    if addresses:
        ledger.put(ADDRESSES, addresses.offset, addresses.end)
    forbid_straddling(plan)
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
    if addresses:
        ledger.expect(ADDRESSES, addresses.offset, addresses.end, 0, "every call")


def forbid_straddling(plan: Plan) -> None:
    """Memories do not lie one behind the other, so nothing may lie in two of them."""
    for buffer in plan.buffers:
        if plan.memory_of(buffer.offset) != plan.memory_of(buffer.end - 1):
            raise Overwritten(f"{buffer.name} lies at {buffer.offset} to {buffer.end}, in two memories")


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
            for start, stop, place in bytes_read(plan, task, read, range(first, end)):
                ledger.expect(read.buffer, start, stop, place, reader)
            forbid_overlap(plan, task, read, range(first, end), reader)
        put_steps(ledger, task, range(first, end))
        if scratch:
            ledger.put("", scratch.offset, scratch.end)
        if state and end < task.steps:
            ledger.expect(state.name, state.offset, state.end, 0, reader)


def bytes_read(plan: Plan, task: Task, read: Read, steps: range) -> Iterator[tuple[int, int, int]]:
    """(first byte, byte behind the last one, place of the first in its tensor) of what some steps read of an input.

    Bytes are counted from the start of the arena. They are rows of a ring, or, of whole tensors, the kernel's own rows.
    """
    tensor, op = task.call.input(read.index), task.op
    windows = read.windows[steps.start : steps.stop]
    if plan.is_ring(tensor.name):
        for row in range(min(low for low, _ in windows), max(high for _, high in windows) + 1):
            start, end = plan.row_range(read.buffer, row)
            yield start, end, row * (end - start)
        return
    (count, nbytes), offset = op.rows(task.call, tensor), plan.offset(tensor.name)
    if task.steps > MOST_ROWS:
        yield offset, offset + count * nbytes, 0
        return
    for step in steps:
        low = op.first_input_row(task.call, read.index, step)
        end = count if low is None else min(count, op.last_input_row(task.call, read.index, step) + 1)
        first = (low or 0) * nbytes
        if first < end * nbytes:
            yield offset + first, offset + end * nbytes, first


def bytes_written(plan: Plan, task: Task, steps: range) -> Iterator[tuple[int, int, int]]:
    """The same of what some steps write."""
    call, op = task.call, task.op
    if plan.is_ring(call.y.name):
        for row in task.completed(steps.start, steps.stop):
            start, end = plan.row_range(task.buffer, row)
            yield start, end, row * (end - start)
        return
    first, end = op.rows_done(call, steps.start), op.rows_done(call, steps.stop)
    nbytes, offset = op.rows(call, call.y)[1], plan.offset(call.y.name)
    yield offset + first * nbytes, offset + end * nbytes, first * nbytes


def put_steps(ledger: Ledger, task: Task, steps: range) -> None:
    for start, end, place in bytes_written(ledger.plan, task, steps):
        ledger.put(task.buffer, start, end, place)


def forbid_overlap(plan: Plan, task: Task, read: Read, steps: range, reader: str) -> None:
    """Steps may write over what they read themselves only as far as the kernel's `separation` and `in_place` say."""
    op, call, name = task.op, task.call, task.call.input(read.index).name
    below, whole = op.separation(call, read.index), not (plan.is_ring(name) or plan.is_ring(call.y.name))
    distance = plan.offset(name) - plan.offset(call.y.name)
    if whole and below is not None and distance >= max(0, below):
        return
    if below == 0 and distance == 0 and plan.buffer(name) is plan.buffer(call.y.name):
        return  # row by row in the same places
    if whole and distance == 0 and op.in_place(call, read.index) and len(steps) == task.steps:
        return
    for start, end, _ in bytes_read(plan, task, read, steps):
        for first, last, _ in bytes_written(plan, task, steps):
            if max(start, first) < min(end, last):
                raise Overwritten(f"{reader} writes bytes {first} to {last} while it reads bytes {start} to {end}")


__all__ = ["Overwritten", "audit", "bytes_read"]
