"""Which ways through a graph are tried: the best cuts for several limits, what they really take when packed, and which
kernels may be lean. The best of several wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ..errors import BudgetMissed
from ..graph import Graph
from ..ops import Op
from . import Plan
from .memories import Room
from .orders import orders
from .problem import MANY, Cuts, Few, Problem

BUDGET_PIXELS = (32, 16, 8, 4, 1)  # pixels a call that are tried for a budget
SPARE = (1.0, 0.85)  # of the worst segment's bytes that others may take, so that fast kernels come back
PACES = (1.25, 4.0)  # of lean kernels: first those that hardly matter
ALIKE = 1.02  # packings in a hurry that differ by less may be as good as each other
ROOM = 1.02  # how much larger than the smallest arena one with fast kernels may be
SLACK = (1.0, 1.05)  # how much more than the least bytes a moment a way may take, as packing is not perfect


@dataclass(frozen=True)
class Rung:
    """One way to spend time for RAM."""

    pixels: int | None = None  # of output that a call computes at least where layers run row by row; None: none does
    tables: bool = False  # whether tables in flash may tell where rows lie
    or_fewer: bool = False  # pixels, where the kernel says so
    pace: float = 1.0  # how many times slower kernels may be for the sake of their scratch

    @property
    def step(self) -> tuple[int, bool]:
        return self.pixels or 1, self.or_fewer


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
            return [
                Rung(),
                *map(Rung, BUDGET_PIXELS),
                Rung(1, tables=True),
                *(Rung(1, True, pace=pace) for pace in PACES),
            ]
        if self.pixels is None and not self.fed:
            return [Rung()]
        return [Rung(), Rung(1, True, pace=PACES[0]) if self.pixels == 1 else Rung(self.pixels or 1, or_fewer=True)]


def search(graph: Graph, kernels: Mapping[str, Op], wish: Wish) -> Plan:
    """The smallest plan of those that the wish allows; with a budget, the cheapest one that fits it.

    Raises BudgetMissed if none does.
    """
    fed = tuple(graph.inputs) if wish.fed else ()
    if wish.rooms:
        return search_rooms(graph, kernels, wish, fed)
    best: Plan | None = None
    wholes = [Problem(each, kernels, fed, 1) for each in orders(graph)]
    problems = {rung.step: [whole.with_pixels(*rung.step) for whole in wholes] for rung in wish.ladder}
    for rung in wish.ladder if wish.ram is not None else reversed(wish.ladder):
        for problem in problems[rung.step]:
            found = tried(problem, rung, best)
            both = [*([best] if best else []), *([found] if found else [])]
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


def tried(problem: Problem, rung: Rung, best: Plan | None) -> Plan | None:
    """The plan of a rung; None if it cannot be smaller than the best one so far, or layers cannot be."""
    if rung.pace > 1:
        return lean_plan(problem, rung.pace)
    if rung.pixels is not None:
        return problem.packed(best_cuts(problem, rung.tables)[1], rung.tables)
    hopeless = problem.fed or (best and problem.least_layers > best.arena_bytes)
    return None if hopeless else problem.place(problem.layers())


def search_rooms(graph: Graph, kernels: Mapping[str, Op], wish: Wish, fed: tuple[str, ...]) -> Plan:
    """Of the plans that several memories can hold, the one with the largest share of its traffic in the fastest.

    Plans that give up speed are tried only if none else fits. Raises BudgetMissed if none does.
    """
    wholes = [Problem(each, kernels, fed, 1) for each in orders(graph)]

    def planned(whole: Problem, rung: Rung) -> Plan:
        problem = whole.with_pixels(*rung.step)
        flow = problem.layers() if rung.pixels is None else problem.flow(best_cuts(problem, tables=False)[1])
        return problem.place(flow, rooms=wish.rooms)

    missed: list[Plan] = []
    for rungs in (wish.ladder, *([Rung(pixels)] for pixels in BUDGET_PIXELS)):
        plans = [planned(w, rung) for w in wholes for rung in rungs if rung.pixels is not None or not fed]
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
    sizes = {cuts: problem.packed(cuts, tables, quick=True).arena_bytes for cuts in ways}
    small = [cuts for cuts, size in sizes.items() if size <= min(sizes.values()) * ALIKE]
    found = min(small, key=lambda cuts: sum(problem.calls[ends] for ends in pairwise((0, *cuts))))
    return sizes[found], found


def lean_plan(problem: Problem, pace: float) -> Plan:
    """A small plan whose kernels may be lean; those that need not be are not."""
    size, cuts = best_cuts(problem, tables=True)
    able = [forms for forms in problem.forms if forms.lean is not forms.streamed and forms.lean.op.pace <= pace]
    if able and len(problem.forms) <= MANY:
        lean = problem.with_lean([forms.layer.node for forms in able])
        if lean.least_peak * ALIKE < size:
            lean_size, lean_cuts = best_cuts(lean, tables=True)
            if lean_size * ALIKE < size:
                cuts, problem = lean_cuts, less_lean(lean, lean_cuts, int(lean_size * ROOM))
    return problem.packed(cuts, tables=True)


def less_lean(problem: Problem, cuts: Cuts, limit: int) -> Problem:
    """The same with fewer lean nodes, if it still takes at most `limit` bytes."""
    worst = max(problem.segment(low, high).peak for low, high in pairwise((0, *cuts)))
    for share in SPARE:
        fewer = problem.with_lean(needed_lean(problem, cuts, int(worst * share)))
        if fewer.lean == problem.lean or fewer.packed(cuts, tables=True, quick=True).arena_bytes <= limit:
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
