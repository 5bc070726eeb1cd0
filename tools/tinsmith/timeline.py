"""A plan along time: which bytes hold what from when to when, which calls belong together, which moment is worst.

Time passes in moments, as in `plan.lifetimes`: one for each call of a kernel, or for each step of it where the plan is
exact about rows; after the last call comes one more, in which the caller reads the outputs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .plan import Plan
from .plan.lifetimes import SCRATCH, STATE, Buffer, moments_of
from .plan.memories import ADDRESSES
from .plan.schedule import FEED

Span = tuple[int, int]  # first and last moment
AFTER = -2  # "node" of the moment after the last call


@dataclass(frozen=True)
class Block:
    """Bytes [start, end) of the arena that hold something at moments `first` to `last`."""

    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True)
class Segment:
    """Calls that belong together: of one layer, or of several nodes that take turns, row by row."""

    nodes: tuple[int, ...]  # indices in the graph
    first: int  # moment
    last: int
    calls: int
    fed: bool  # whether rows of the model's input come in between

    @property
    def by_rows(self) -> bool:
        return len(self.nodes) + self.fed > 1


@dataclass(frozen=True)
class Peak:
    """The moment at which most bytes of the arena are in use."""

    moment: int
    nbytes: int
    node: int  # that runs then; FEED or AFTER


@dataclass(frozen=True, eq=False)
class Timeline:
    """A plan, and for each moment the node that runs."""

    plan: Plan
    nodes: tuple[int, ...]  # of each moment
    steps: tuple[int, ...]  # of each moment: output rows, mostly, so that they stand for time
    starts: tuple[int, ...]  # first moment of each run
    births: Mapping[str, Sequence[tuple[int, int]]]  # buffer -> (byte in it, moment at which a row begins there)

    @classmethod
    def of(cls, plan: Plan) -> Timeline:
        nodes: list[int] = []
        steps: list[int] = []
        starts: list[int] = []
        births: dict[str, list[tuple[int, int]]] = {b.name: [] for b in plan.buffers}

        def place(name: str, row: int) -> int:
            return plan.row_range(name, row)[0] - plan.by_name[name].offset

        for run in plan.runs:
            starts.append(len(nodes))
            if run.node == FEED:
                for name in plan.fed:
                    births[name].append((place(name, run.first), len(nodes)))
                nodes.append(FEED)
                steps.append(1)
                continue
            task = plan.tasks[run.node]
            holder = plan.buffer(task.call.y.name).name
            for first, end in moments_of(task, run):
                rows = range(bisect_left(task.born, first), bisect_left(task.born, end))
                births[holder] += [(place(holder, row), len(nodes)) for row in rows]
                nodes.append(run.node)
                steps.append(end - first)
        return cls(plan, (*nodes, AFTER), (*steps, 1), tuple(starts), births)

    def kind(self, buffer: Buffer) -> str:
        """What a buffer is: whole, ring, scratch, state or addresses."""
        if buffer.name == ADDRESSES:
            return "addresses"
        if buffer.name not in self.plan.sizes:
            return "scratch" if buffer.name.startswith(SCRATCH) else "state"
        return "ring" if buffer.places or buffer.rows < self.rows_in_all(buffer) else "whole"

    def rows_in_all(self, buffer: Buffer) -> int:
        return self.plan.sizes[buffer.name][0] if buffer.name in self.plan.sizes else 1

    def owner(self, buffer: Buffer) -> str:
        """The tensor that a buffer holds, or whose kernel works in it."""
        if buffer.name in self.plan.sizes:
            return buffer.name
        return buffer.name.removeprefix(SCRATCH if buffer.name.startswith(SCRATCH) else STATE)

    @cached_property
    def blocks(self) -> Mapping[str, Sequence[Block]]:
        """By buffer: the blocks of its bytes; those of a ring are single rows."""
        return {b.name: self.rows_of(b) if self.kind(b) == "ring" else self.blocks_of(b) for b in self.plan.buffers}

    def blocks_of(self, buffer: Buffer) -> list[Block]:
        return [
            Block(buffer.offset + part.start, buffer.offset + part.end, first, last)
            for part in buffer.stretches
            for first, last in spans(part.moments)
        ]

    def rows_of(self, ring: Buffer) -> list[Block]:
        """A block for each row, from its birth until it is dead, as far as the plan keeps its place free."""
        found = []
        for part in ring.stretches:
            for place in range(part.start, part.end, ring.row_bytes):
                born = sorted({moment for there, moment in self.births[ring.name] if there == place})
                start = ring.offset + place
                for span in spans(part.moments):
                    found += [Block(start, start + ring.row_bytes, *piece) for piece in cut(span, born)]
        return found

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Calls in order, those of nodes that take turns together."""
        last = {node: moment for moment, node in enumerate(self.nodes)}
        found, first, members, reach = [], 0, set[int](), 0
        for moment, node in enumerate(self.nodes[:-1]):
            members.add(node)
            reach = max(reach, last[node])
            if moment == reach:
                calls = bisect_left(self.starts, moment + 1) - bisect_left(self.starts, first)
                inside = tuple(sorted(members - {FEED}))
                found.append(Segment(inside, first, moment, calls, FEED in members))
                first, members = moment + 1, set()
        return tuple(found)

    @cached_property
    def peak(self) -> Peak:
        """The first of the worst moments. Bytes that two buffers share, such as in place, count once."""
        blocks = [block for found in self.blocks.values() for block in found]
        change = [0] * (len(self.nodes) + 1)
        for block in blocks:
            change[block.first] += block.end - block.start
            change[block.last + 1] -= block.end - block.start
        most = list(accumulated(change))[:-1]
        best = Peak(0, 0, self.nodes[0])
        for moment in sorted(range(len(most)), key=lambda m: (-most[m], m)):
            if most[moment] <= best.nbytes:
                break
            used = covered([(b.start, b.end) for b in blocks if b.first <= moment <= b.last])
            if used > best.nbytes:
                best = Peak(moment, used, self.nodes[moment])
        return best


def accumulated(change: Sequence[int]) -> Iterator[int]:
    now = 0
    for step in change:
        now += step
        yield now


def covered(ranges: Sequence[tuple[int, int]]) -> int:
    """Bytes that lie in any of the ranges [start, end)."""
    total = reach = 0
    for start, end in sorted(ranges):
        total += max(0, end - max(start, reach))
        reach = max(reach, end)
    return total


def spans(moments: int) -> Iterator[Span]:
    """The unbroken spans in a set of bits."""
    passed = 0
    while moments:
        skipped = (moments & -moments).bit_length() - 1
        moments >>= skipped
        length = (~moments & (moments + 1)).bit_length() - 1
        yield passed + skipped, passed + skipped + length - 1
        moments >>= length
        passed += skipped + length


def cut(span: Span, moments: Sequence[int]) -> Iterator[Span]:
    """The span in pieces that begin at these moments."""
    first, last = span
    for moment in moments:
        if first < moment <= last:
            yield first, moment - 1
            first = moment
    yield first, last
