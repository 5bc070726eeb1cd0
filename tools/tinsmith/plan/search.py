"""Which ways through a graph are tried.

A graph is cut at tensors that alone are alive when a node has run. Between two cuts, a segment runs row by row; a
segment of one node is a layer. What a way needs is the most that any of its segments needs at a moment, so the best
cuts follow from dynamic programming. Packing then shows what a way really takes, and the best of several wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise

from ..errors import BudgetMissed
from ..graph import Graph
from ..ops import Op
from . import Plan
from .lifetimes import history, peak
from .memories import Room
from .place import place
from .schedule import Flow, schedule
from .tasks import Forms, Task, find_roots, forms, sizes_of

LONGEST = 24  # nodes that may run row by row between two cuts
LONGEST_OF_MANY = 10  # the same in graphs of more than MANY nodes, so that the search ends within a minute
MANY = 100
BUDGET_PIXELS = (32, 16, 8, 4, 1)  # pixels a call that are tried for a budget
SPARE = (1.0, 0.85)  # of the worst segment's bytes that others may take, so that fast kernels come back
PACES = (1.25, 4.0)  # of lean kernels: first those that hardly matter
ALIKE = 1.02  # packings in a hurry that differ by less may be as good as each other
ROOM = 1.02  # how much larger than the smallest arena one with fast kernels may be
SLACK = (1.0, 1.05)  # how much more than the least bytes a moment a way may take, as packing is not perfect

Cuts = tuple[int, ...]  # places in Problem.points


@dataclass(frozen=True)
class Rung:
    """One way to spend time for RAM."""

    pixels: int | None = None  # of output that a call computes at least where layers run row by row; None: none does
    tables: bool = False  # whether tables in flash may tell where rows lie
    pace: float = 1.0  # how many times slower kernels may be for the sake of their scratch


@dataclass(frozen=True)
class Wish:
    """What a plan is asked for."""

    pixels: int | None = None  # as in Rung
    ram: int | None = None  # most bytes of arena: the planner gives up as little speed for them as it can
    fed: bool = False  # whether the model's input comes row by row
    rooms: tuple[Room, ...] = ()  # several memories, the fastest first

    @property
    def ladder(self) -> list[Rung]:
        """What to try, the cheapest in time and flash first."""
        if self.ram is not None:
            return [Rung(), *map(Rung, BUDGET_PIXELS), Rung(1, tables=True), *(Rung(1, True, pace) for pace in PACES)]
        if self.pixels is None and not self.fed:
            return [Rung()]
        return [Rung(), Rung(1, True, PACES[0]) if self.pixels == 1 else Rung(self.pixels or 1)]


class Few(Enum):
    """What a way is to have few of."""

    CALLS = "calls of kernels"
    CUTS = "cuts"


@dataclass(frozen=True)
class Segment:
    """What runs row by row between two cuts."""

    peak: int  # bytes alive at the worst moment
    calls: int


@dataclass(frozen=True, eq=False)
class Problem:
    """A graph with the kernels that may run its nodes."""

    graph: Graph
    kernels: Mapping[str, Op]
    fed: tuple[str, ...]  # inputs that come row by row
    pixels: int  # of output that a call should compute at least
    lean: frozenset[int] = frozenset()  # nodes whose kernels may be slower for the sake of their scratch
    rooms: tuple[Room, ...] = ()  # if there are several memories

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
        steps = {task.node: -(-self.pixels // self.width(task)) for task in tasks}
        return Flow(tasks, self.counts, whole, self.fed if start == 0 else (), steps)

    def chosen(self, forms: Forms, whole: set[str]) -> Task:
        """The form in which a node runs if the buffers `whole` are complete before anything behind them begins."""
        lean = forms.layer.node in self.lean
        if not all(read.buffer in whole for read in forms.layer.reads):
            return forms.lean if lean else forms.streamed
        return forms.lean if lean else forms.layer

    def with_lean(self, nodes: Iterable[int]) -> Problem:
        """The same with other lean nodes."""
        other = replace(self, lean=frozenset(nodes))
        other.__dict__.update({name: getattr(self, name) for name in ("roots", "sizes", "counts", "forms", "points")})
        return other

    def width(self, task: Task) -> int:
        """Pixels that a step computes, or of an input row that it consumes."""
        consumes = task.steps > len(task.done)
        shape = (task.call.x if consumes else task.call.y).shape
        return shape[2] if len(shape) == 4 else 1

    def segment(self, low: int, high: int) -> Segment:
        """What running row by row between two points takes."""
        (start, source), (end, target) = self.points[low], self.points[high]
        given = [source] if source else [name for name in self.graph.inputs if name not in self.fed]
        flow = self.flow_of(start, end, {*given, target})
        if end - start == 1 and flow.is_layer(flow.tasks[0]):
            return Segment(self.layer_bytes(flow.tasks[0]), 1)
        inside = {task.buffer for task in flow.tasks}
        targets = [name for name in dict.fromkeys(map(self.roots.get, self.graph.outputs)) if name in inside]
        runs = schedule(flow, [*(str(name) for name in targets), target])
        past = history(flow.tasks, runs, self.sizes, given, [target], flow.fed)
        return Segment(peak(flow.tasks, past), len(runs))

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

    @cached_property
    def segments(self) -> Mapping[tuple[int, int], Segment]:
        longest = LONGEST if len(self.forms) <= MANY else LONGEST_OF_MANY
        indices = range(len(self.points))
        return {
            (low, high): self.segment(low, high)
            for low in indices
            for high in indices[low + 1 :]
            if high == low + 1 or self.points[high][0] - self.points[low][0] <= longest
        }

    @cached_property
    def least_peak(self) -> int:
        """The least that the worst segment of any way takes."""
        best = [0] + [0] * (len(self.points) - 1)
        for high in range(1, len(best)):
            ways = (max(best[low], s.peak) for (low, end), s in self.segments.items() if end == high)
            best[high] = min(ways)
        return best[-1]

    def cuts(self, limit: int, few: Few) -> list[int]:
        """The points of the way with the fewest calls or cuts whose segments take at most `limit` bytes each."""
        best: list[tuple[float, list[int]]] = [(0.0, []), *((float("inf"), []) for _ in self.points[1:])]
        for high in range(1, len(best)):
            for low in range(high):
                segment = self.segments.get((low, high))
                cost = best[low][0] + (segment.calls if segment and few is Few.CALLS else 1)
                if segment and segment.peak <= limit and cost < best[high][0]:
                    best[high] = (cost, [*best[low][1], high])
        return best[-1][1]

    @property
    def least_layers(self) -> int:
        """What layers without any rows take at least."""
        return max((self.layer_bytes(forms.layer) for forms in self.forms), default=0)

    def layers(self) -> Flow:
        """The way without any rows."""
        return self.flow_of(0, len(self.forms), set(self.counts))

    def place(self, flow: Flow, tables: bool = False, quick: bool = False) -> Plan:
        return place(self.graph, self.roots, self.kernels, flow, tables, quick, self.rooms)

    def calls(self, cuts: Cuts) -> int:
        """How many calls of kernels these cuts make."""
        return sum(self.segment(low, high).calls for low, high in pairwise((0, *cuts)))

    def hurried(self, cuts: Cuts, tables: bool) -> int:
        """Bytes of arena with these cuts, without much search for a packing."""
        return self.place(self.flow(cuts), tables, quick=True).arena_bytes


def search(graph: Graph, kernels: Mapping[str, Op], wish: Wish) -> Plan:
    """The smallest plan of those that the wish allows; with a budget, the cheapest one that fits it.

    Raises BudgetMissed if none does.
    """
    fed = tuple(graph.inputs) if wish.fed else ()
    if wish.rooms:
        return search_rooms(graph, kernels, wish, fed)
    best: Plan | None = None
    for rung in wish.ladder if wish.ram is not None else reversed(wish.ladder):
        problem = Problem(graph, kernels, fed, rung.pixels or 1)
        if rung.pace > 1:
            found = [lean_plan(problem, rung.pace)]
        elif rung.pixels is None:
            hopeless = fed or (best and problem.least_layers > best.arena_bytes)
            found = [problem.place(problem.layers())] if not hopeless else []
        else:
            found = [problem.place(problem.flow(best_cuts(problem, rung.tables)[1]), rung.tables)]
        both = [*([best] if best else []), *found]
        best = min(both, key=lambda plan: (plan.arena_bytes, len(plan.runs)), default=None)
        if best and wish.ram is not None and best.arena_bytes <= wish.ram:
            return best
    assert best is not None
    if wish.ram is not None:
        over = best.arena_bytes - wish.ram
        raise BudgetMissed(
            f"{graph.name} needs {best.arena_bytes:,} bytes of arena, {over:,} more than the budget of {wish.ram:,}",
            best.arena_bytes,
        )
    return best


def search_rooms(graph: Graph, kernels: Mapping[str, Op], wish: Wish, fed: tuple[str, ...]) -> Plan:
    """Of the plans that several memories can hold, the one with the largest share of its traffic in the fastest.

    Plans that give up speed are tried only if none else fits. Raises BudgetMissed if none does.
    """

    def planned(pixels: int | None) -> Plan:
        one = Problem(graph, kernels, fed, pixels or 1)
        flow = one.layers() if pixels is None else one.flow(best_cuts(one, tables=False)[1])
        return replace(one, rooms=wish.rooms).place(flow)

    missed: list[Plan] = []
    usual = [rung.pixels for rung in wish.ladder]
    steps: list[list[int | None]] = [usual]
    steps += [[pixels] for pixels in BUDGET_PIXELS]
    for step in steps:
        plans = [planned(pixels) for pixels in step if pixels is not None or not fed]
        fitting = [plan for plan in plans if plan.lacking == 0]
        if fitting:
            return max(fitting, key=lambda plan: plan.traffic_shares[0])
        missed += plans
    least = min(missed, key=lambda plan: plan.lacking)
    lacking = next(memory for memory in least.memories if memory.over)
    raise BudgetMissed(
        f"{graph.name} needs {lacking.nbytes:,} bytes of the memory {lacking.room.name!r}, {lacking.over:,} more than "
        f"its {lacking.room.nbytes:,}", lacking.nbytes,
    )  # fmt: skip


def best_cuts(problem: Problem, tables: bool) -> tuple[int, Cuts]:
    """Where to cut to run row by row: the best of the ways for several limits, and the bytes that it takes when packed
    in a hurry."""
    limits = [int(problem.least_peak * slack) for slack in SLACK]
    ways = dict.fromkeys(tuple(problem.cuts(limit, few)) for limit in limits for few in Few)
    sizes = {cuts: problem.hurried(cuts, tables) for cuts in ways}
    small = [cuts for cuts, size in sizes.items() if size <= min(sizes.values()) * ALIKE]
    found = min(small, key=problem.calls)
    return sizes[found], found


def lean_plan(problem: Problem, pace: float) -> Plan:
    """A small plan whose kernels may be lean; those that need not be are not."""
    size, cuts = best_cuts(problem, tables=True)
    able = [forms for forms in problem.forms if forms.lean is not forms.streamed and forms.lean.op.pace <= pace]
    if able and len(problem.forms) <= MANY:
        lean = problem.with_lean(forms.layer.node for forms in able)
        if lean.least_peak * ALIKE < size:
            lean_size, lean_cuts = best_cuts(lean, tables=True)
            if lean_size * ALIKE < size:
                cuts, problem = lean_cuts, less_lean(lean, lean_cuts, int(lean_size * ROOM))
    return problem.place(problem.flow(cuts), tables=True)


def less_lean(problem: Problem, cuts: Cuts, limit: int) -> Problem:
    """The same with fewer lean nodes, if it still takes at most `limit` bytes."""
    worst = max(problem.segment(low, high).peak for low, high in pairwise((0, *cuts)))
    for share in SPARE:
        fewer = problem.with_lean(needed_lean(problem, cuts, int(worst * share)))
        if fewer.hurried(cuts, tables=True) <= limit:
            return fewer
    return problem


def needed_lean(problem: Problem, cuts: Cuts, limit: int) -> frozenset[int]:
    """The lean nodes without those that may be fast and their segment still takes at most `limit` bytes.

    The most work is tried first.
    """
    for low, high in pairwise((0, *cuts)):
        inside = [forms.layer for forms in problem.forms[problem.points[low][0] : problem.points[high][0]]]
        for task in sorted(inside, key=lambda task: -task.op.effort(task.call)):
            fewer = problem.with_lean(problem.lean - {task.node})
            if task.node in problem.lean and fewer.segment(low, high).peak <= limit:
                problem = fewer
    return problem.lean
