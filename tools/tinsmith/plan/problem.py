"""A graph as the planner's search sees it.

A graph is cut at tensors that alone are alive when a node has run. Between two cuts, a segment runs row by row; a
segment of one node is a layer. What a way needs is the most that any of its segments needs at a moment, so the best
cuts follow from dynamic programming.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from ..graph import Graph
from ..ops import Op
from . import Plan
from .lifetimes import history, peak
from .memories import Room
from .place import place
from .schedule import Flow, run_count, schedule
from .tasks import Forms, Task, find_roots, forms, sizes_of

LONGEST = 24  # nodes that may run row by row between two cuts
LONGEST_OF_MANY = 10  # the same in graphs of more than MANY nodes, so that the search ends within a minute
MANY = 100

Cuts = tuple[int, ...]  # places in Problem.points


class Few(Enum):
    """What a way is to have few of."""

    CALLS = "calls of kernels"
    CUTS = "cuts"


@dataclass(frozen=True)
class Segment:
    """What runs row by row between two cuts."""

    peak: int  # bytes alive at the worst moment
    head: int = 0  # the peak without its output, which a segment that goes on does not keep
    tail: int = 0  # the peak without its input, which one that begins earlier does not have as a whole


@dataclass(frozen=True, eq=False)
class Problem:
    """A graph with the kernels that may run its nodes."""

    graph: Graph
    kernels: Mapping[str, Op]
    fed: tuple[str, ...]  # inputs that come row by row
    pixels: int  # of output that a call should compute at least
    or_fewer: bool = False  # where the kernel says so
    lean: frozenset[int] = frozenset()  # nodes whose kernels may be slower for the sake of their scratch
    known: dict[tuple[int, int], Segment] = field(default_factory=dict)  # between two points
    plans: dict[tuple[Cuts, bool, bool], Plan] = field(default_factory=dict)  # see `packed`

    @cached_property
    def roots(self) -> Mapping[str, str]:
        return find_roots(self.graph)

    @cached_property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        return sizes_of(self.graph, self.roots)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        return {name: count for name, (count, _) in self.sizes.items()}

    @cached_property
    def forms(self) -> Sequence[Forms]:
        return forms(self.graph, self.roots, self.sizes, self.kernels)

    @cached_property
    def points(self) -> list[tuple[int, str]]:
        """(number of tasks before it, buffer) of each place where the graph can be cut; the first is the start."""
        last: dict[str, int] = {}
        for k, node in enumerate(self.forms):
            last.update((read.buffer, k) for read in node.layer.reads)
        last.update((self.roots[name], len(self.forms)) for name in self.graph.outputs)
        alive = {name for name in self.graph.inputs if last.get(name, -1) >= 0}
        found = [(0, "")]
        for k, node in enumerate(self.forms):
            buffer = node.layer.buffer
            alive = {name for name in alive | {buffer} if last.get(name, -1) > k}
            if alive <= {buffer}:
                found.append((k + 1, buffer))
        return found

    def flow(self, cuts: Sequence[int]) -> Flow:
        """The flow with cuts at these points, by their places in `points`; the start and the end are always cut."""
        whole = {self.points[k][1] for k in cuts} - {""} | set(self.graph.inputs) - set(self.fed)
        return self.flow_of(0, len(self.forms), whole)

    def flow_of(self, start: int, end: int, whole: set[str]) -> Flow:
        tasks = [self.chosen(each, whole) for each in self.forms[start:end]]
        steps = {task.node: -(-self.pixels_of(task) // self.width(task)) for task in tasks}
        return Flow(tasks, self.counts, whole, self.fed if start == 0 else (), steps)

    def chosen(self, forms: Forms, whole: set[str]) -> Task:
        """The form in which a node runs if the buffers `whole` are complete before anything behind them begins."""
        lean = forms.layer.node in self.lean
        if not all(read.buffer in whole for read in forms.layer.reads):
            return forms.lean if lean else forms.streamed
        return forms.lean if lean else forms.layer

    def pixels_of(self, task: Task) -> int:
        """What a call of the task should compute at least."""
        return min(self.pixels, task.op.pixels) if self.or_fewer else self.pixels

    def with_pixels(self, pixels: int, or_fewer: bool) -> Problem:
        """The same with other pixels a call."""
        return self.but(Problem(self.graph, self.kernels, self.fed, pixels, or_fewer, self.lean))

    def with_lean(self, nodes: Iterable[int]) -> Problem:
        """The same with other lean nodes."""
        return self.but(Problem(self.graph, self.kernels, self.fed, self.pixels, self.or_fewer, frozenset(nodes)))

    def but(self, other: Problem) -> Problem:
        """Another problem of the same graph, which then need not look at it again."""
        other.__dict__.update({name: getattr(self, name) for name in ("roots", "sizes", "counts", "forms", "points")})
        return other

    def width(self, task: Task) -> int:
        """Pixels that a step computes, or of an input row that it consumes."""
        consumes = task.steps > len(task.done)
        shape = (task.call.x if consumes else task.call.y).shape
        return shape[2] if len(shape) == 4 else 1

    def given(self, low: int) -> list[str]:
        """What is there as a whole when the nodes behind a point begin."""
        return [self.points[low][1]] if low else [name for name in self.graph.inputs if name not in self.fed]

    def segment(self, low: int, high: int) -> Segment:
        """What running row by row between two points takes."""
        if (low, high) not in self.known:
            self.known[low, high] = self.measured(low, high)
        return self.known[low, high]

    def measured(self, low: int, high: int) -> Segment:
        flow, targets = self.between(low, high)
        if len(flow.tasks) == 1 and flow.is_layer(flow.tasks[0]):
            return Segment(self.layer_bytes(flow.tasks[0]))
        given, target = self.given(low), targets[-1:]
        past = history(flow.tasks, schedule(flow, targets), self.sizes, given, target, flow.fed)
        same = self.chosen(self.forms[self.points[low][0]], set()) is flow.tasks[0]  # behind other nodes, too
        head, tail = (peak(flow.tasks, past, ends) for ends in (target, given))
        return Segment(peak(flow.tasks, past), head, tail if same else 0)

    def between(self, low: int, high: int) -> tuple[Flow, list[str]]:
        """The flow between two points, and what it completes."""
        start, (end, target) = self.points[low][0], self.points[high]
        flow = self.flow_of(start, end, {*self.given(low), target})
        inside = {task.buffer for task in flow.tasks} - {target}
        outputs = dict.fromkeys(self.roots[name] for name in self.graph.outputs)
        return flow, [*(name for name in outputs if name in inside), target]

    @cached_property
    def calls(self) -> Mapping[tuple[int, int], int]:
        """How many calls of kernels each segment makes."""
        highs = range(1, len(self.points))
        return {(low, high): run_count(*self.between(low, high)) for high in highs for low in self.lows(high)}

    def layer_bytes(self, task: Task) -> int:
        """What a layer by itself takes, its output over its input as far as its kernel allows."""
        count, nbytes = self.sizes[task.buffer]
        own = count * nbytes
        others = {read.buffer: self.sizes[read.buffer] for read in task.reads}
        total = own + sum(rows * size for rows, size in others.values())
        if len(others) == 1:
            distance = task.op.separation(task.call, task.reads[0].index)
            if task.op.in_place(task.call, task.reads[0].index):
                distance = 0
            if distance is not None:
                total = min(total, max(own, max(distance, 0) + total - own))
        return total + task.scratch_bytes + task.state_bytes

    def lows(self, high: int) -> range:
        """The points from which a segment may go to the point `high`."""
        longest = LONGEST if len(self.forms) <= MANY else LONGEST_OF_MANY
        starts = [start for start, _ in self.points[:high]]
        return range(min(high - 1, bisect_left(starts, self.points[high][0] - longest)), high)

    def floor(self, low: int, high: int) -> int:
        """Bytes that a segment takes in any case: its ends, and what shorter ones of its nodes take without theirs."""
        if high - low == 1:
            return 0  # there are no shorter ones
        ends = [self.sizes[name] for name in (*self.given(low), self.points[high][1])]
        known = self.known
        heads = (known[low, end].head for end in range(low + 1, high) if (low, end) in known)
        tails = (known[start, high].tail for start in range(low + 1, high) if (start, high) in known)
        return max(0, *(count * nbytes for count, nbytes in ends), *heads, *tails)

    @cached_property
    def least_peak(self) -> int:
        """The least that the worst segment of any way takes."""
        best = [0]
        for high in range(1, len(self.points)):
            least: float = math.inf
            for low in reversed(self.lows(high)):
                if max(best[low], self.floor(low, high)) < least:
                    least = min(least, max(best[low], self.segment(low, high).peak))
            best.append(int(least))
        return best[-1]

    def cuts(self, limit: int, few: Few) -> list[int]:
        """The points of the way with the fewest calls or cuts whose segments take at most `limit` bytes each."""
        best: list[tuple[float, list[int]]] = [(0.0, []), *((math.inf, []) for _ in self.points[1:])]
        for high in range(1, len(best)):
            costs = {low: best[low][0] + (self.calls[low, high] if few is Few.CALLS else 1) for low in self.lows(high)}
            for low in sorted(costs, key=costs.__getitem__):
                if self.floor(low, high) <= limit and self.segment(low, high).peak <= limit:
                    best[high] = (costs[low], [*best[low][1], high])
                    break
        return best[-1][1]

    @property
    def least_layers(self) -> int:
        """What layers without any rows take at least."""
        return max((self.layer_bytes(forms.layer) for forms in self.forms), default=0)

    def layers(self) -> Flow:
        """The way without any rows."""
        return self.flow_of(0, len(self.forms), set(self.counts))

    def packed(self, cuts: Cuts, tables: bool, quick: bool = False) -> Plan:
        """The plan with these cuts; `quick`: without much search for a packing."""
        key = cuts, tables, quick
        if key not in self.plans:
            self.plans[key] = self.place(self.flow(cuts), tables, quick)
        return self.plans[key]

    def place(self, flow: Flow, tables: bool = False, quick: bool = False, rooms: Sequence[Room] = ()) -> Plan:
        return place(self.graph, self.roots, self.kernels, flow, tables, quick, rooms)
