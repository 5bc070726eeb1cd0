"""Which bytes are needed when, for a given order of runs.

Time passes in moments. A run is one moment, or, if the kernel is `exact` about its rows, one moment for each step. What
a moment reads and what it writes is alive during it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

from .schedule import FEED, Run
from .tasks import Task

SCRATCH, STATE = "scratch of ", "state of "
ROW_UNIT = 4  # TIN_ROW_UNIT: bytes that tables of rows count in
TABLE_STRIDE = 1 << 19  # TIN_TABLE_STRIDE


@dataclass(frozen=True)
class Stretch:
    """Bytes [start, end) of a buffer that are alive at the same moments: a set of bits."""

    start: int
    end: int
    moments: int


@dataclass(frozen=True)
class Buffer:
    """A range of the arena: a tensor, a ring of its rows, or what a kernel needs beside tensors."""

    name: str
    rows: int  # held at a time
    row_bytes: int
    stretches: tuple[Stretch, ...]
    first: int  # node that needs it first; -1: it is there before the run
    last: int  # node that needs it last; the number of nodes: it is needed after the run
    offset: int = 0
    places: tuple[int, ...] = ()  # bytes from `offset` to each row of the tensor, where a table in flash tells them

    @property
    def nbytes(self) -> int:
        """Bytes of the rows that are held at a time."""
        return self.rows * self.row_bytes

    @cached_property
    def moments(self) -> int:
        """All moments at which some of it is alive: a set of bits."""
        return reduce(or_, (stretch.moments for stretch in self.stretches), 0)

    @property
    def end(self) -> int:
        """The byte behind the last one; rows of a table may have others between them."""
        return self.offset + (max(self.places) + self.row_bytes if self.places else self.nbytes)


@dataclass
class Rows:
    """The moments at which each row of a buffer is written first and read last; -1 for rows that nobody needs."""

    nbytes: int
    born: list[int]
    dead: list[int]
    whole: bool = False  # must be whole in memory, as some kernel knows no rings of it


@dataclass(frozen=True, eq=False)
class History:
    """All lifetimes of a schedule."""

    moments: int
    rows: Mapping[str, Rows]
    busy: Mapping[int, Sequence[int]]  # node -> its moments


def history(
    tasks: Sequence[Task], runs: Sequence[Run], sizes: Mapping[str, tuple[int, int]], given: Collection[str],
    kept: Collection[str], fed: Collection[str] = (),
) -> History:  # fmt: skip
    """Lifetimes of the buffers that `tasks` read and write. `sizes`: (rows, bytes a row) of each buffer. `given` ones
    are there from the start, `kept` ones are needed after the end, `fed` ones are written by runs of FEED."""
    of_node = {task.node: task for task in tasks}
    names = dict.fromkeys([*given, *fed, *(r.buffer for t in tasks for r in t.reads), *(t.buffer for t in tasks)])
    rows = {name: Rows(sizes[name][1], [-1] * sizes[name][0], [-1] * sizes[name][0]) for name in names}
    busy: dict[int, list[int]] = {task.node: [] for task in tasks}
    now = 0
    for run in runs:
        if run.node == FEED:
            for name in fed:
                rows[name].born[run.first] = rows[name].dead[run.first] = now
            now += 1
            continue
        task = of_node[run.node]
        for first, end in moments_of(task, run):
            note_moment(task, first, end, now, rows)
            busy[task.node].append(now)
            now += 1
    for name in given:
        found = rows[name]
        found.born, found.whole = [0] * len(found.born), True
        found.dead = [max(0, moment) for moment in found.dead]
    for name in kept:
        rows[name].dead, rows[name].whole = [now] * len(rows[name].dead), True
    return History(now + 1, rows, busy)


def moments_of(task: Task, run: Run) -> Iterator[tuple[int, int]]:
    """The steps of each moment of a run."""
    if not task.exact:
        yield run.first, run.end
        return
    for step in range(run.first, run.end):
        yield step, step + 1


def note_moment(task: Task, first: int, end: int, now: int, rows: Mapping[str, Rows]) -> None:
    for read in task.reads:
        source, windows = rows[read.buffer], read.windows[first:end]
        source.whole |= not read.aligned
        low, high = windows[0] if len(windows) == 1 else (min(windows)[0], read.last(first, end))
        if low <= high:
            source.dead[low : high + 1] = [now] * (high + 1 - low)
    target = rows[task.buffer]
    for row in range(bisect_left(task.born, first), bisect_left(task.born, end)):
        target.born[row] = now
    for row in task.completed(first, end):
        target.dead[row] = max(target.dead[row], now)


def shared(tasks: Sequence[Task], past: History, roots: Mapping[str, str], streamed: Collection[int]) -> dict[str, str]:
    """Buffer -> the one that holds it: outputs of element-wise kernels take the places of inputs that die row by row.

    That is only asked of `streamed` nodes; for whole tensors, packing finds such places by itself.
    """
    holder = {name: name for name in past.rows}
    for task in tasks:
        target = past.rows[task.buffer]
        for read in task.reads if task.node in streamed else ():
            name = holder[read.buffer]
            source = past.rows[name]
            alike = source.nbytes == target.nbytes and len(source.born) == len(target.born)
            if not (alike and read.aligned and task.op.separation(task.call, read.index) == 0):
                continue
            if all(dead <= born or born < 0 for dead, born in zip(source.dead, target.born, strict=True)):
                source.dead = list(map(max, source.dead, target.dead))
                source.whole |= target.whole
                holder[task.buffer] = name
                break
    return holder


def ring_size(rows: Rows) -> int:
    """How many rows must be held, so that each is dead when another one takes its place."""
    count = len(rows.born)
    if rows.whole:
        return count
    most, low = 1, 0
    for row in range(count):
        if rows.born[row] < 0:
            continue
        while low < row and rows.dead[low] < rows.born[row]:
            low += 1
        most = max(most, row - low + 1)
    return most


def mask(first: int, last: int) -> int:
    """The bits of moments first to last."""
    return ((1 << (last - first + 1)) - 1) << first


def stretches(rows: Rows, held: int) -> tuple[Stretch, ...]:
    """The slots of a ring of `held` rows, neighbours that live alike taken together."""
    moments = [0] * held
    for row, (born, dead) in enumerate(zip(rows.born, rows.dead, strict=True)):
        if born >= 0:
            moments[row % held] |= mask(born, dead)
    found: list[Stretch] = []
    for slot, bits in enumerate(moments):
        start = slot * rows.nbytes
        if found and found[-1].moments == bits:
            found[-1] = Stretch(found[-1].start, start + rows.nbytes, bits)
        else:
            found.append(Stretch(start, start + rows.nbytes, bits))
    return tuple(found)


def peak(tasks: Sequence[Task], past: History, but: Collection[str] = ()) -> int:
    """The most bytes that are alive at one moment, not counting the buffers `but`."""
    change = [0] * (past.moments + 1)
    for rows in (rows for name, rows in past.rows.items() if name not in but):
        for born, dead in zip(rows.born, rows.dead, strict=True):
            if born < 0:
                continue
            change[born] += rows.nbytes
            change[dead + 1] -= rows.nbytes
    for task in tasks:
        moments = past.busy[task.node]
        if task.state_bytes:
            change[moments[0]] += task.state_bytes
            change[moments[-1] + 1] -= task.state_bytes
        if task.scratch_bytes:
            for moment in moments:
                change[moment] += task.scratch_bytes
                change[moment + 1] -= task.scratch_bytes
    most = now = 0
    for step in change:
        now += step
        most = max(most, now)
    return most
