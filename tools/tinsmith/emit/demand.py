"""The order of a plan as C: layers are called, nodes that run row by row are functions that demand what they need."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..plan import Plan
from ..plan.tasks import Read


@dataclass(frozen=True)
class Order:
    """How the nodes of a plan are called. Nodes are known by their indices in the graph."""

    plan: Plan
    names: Mapping[int, str]  # of the nodes' parameters

    def steps_a_call(self, index: int) -> int:
        """Of a node that runs row by row; 0 if it runs at once."""
        return self.plan.steps.get(self.plan.graph.nodes[index].outputs[0], 0)

    def producer(self, buffer: str) -> int | None:
        return next((i for i, task in self.plan.tasks.items() if task.buffer == buffer), None)

    def streamed(self) -> list[dict[str, Any]]:
        """What the template needs of each node that runs row by row."""
        return [
            {
                "name": self.names[i], "steps": task.steps, "call": self.steps_a_call(i), "demands": self.demands(i),
                "kernel": task.op.kernel,
            }
            for i, task in self.plan.tasks.items()
            if self.steps_a_call(i)
        ]  # fmt: skip

    def demands(self, index: int) -> list[tuple[str, str]]:
        """(name of a node, steps that it must have taken) before a node takes its steps up to `end`."""
        found = []
        for read in self.plan.tasks[index].reads:
            producer = self.producer(read.buffer)
            if producer is None and read.buffer in self.plan.fed:
                # A row is fetched in one step.
                found.append(("input", self.steps_needed(read, range(self.plan.sizes[read.buffer][0]))))
            elif producer is not None and read.buffer not in self.plan.cuts:
                found.append((self.names[producer], self.steps_needed(read, self.plan.tasks[producer].done)))
        return list(dict.fromkeys(found))

    def steps_needed(self, read: Read, done: Sequence[int]) -> str:
        """A C expression in `end`."""
        rows = [read.last(0, step + 1) for step in range(len(read.windows))]
        return stairs([done[row] + 1 if row >= 0 else 0 for row in rows])

    def calls(self) -> list[dict[str, Any]]:
        """What runs the model: layers, and nodes that demand all before them."""
        outputs = {self.plan.views[name] for name in self.plan.graph.outputs}
        return [
            {"name": self.names[i], "steps": task.steps, "kernel": task.op.kernel, "streamed": self.steps_a_call(i) > 0}
            for i, task in self.plan.tasks.items()
            if task.buffer in self.plan.cuts or task.buffer in outputs
        ]


def stairs(needed: Sequence[int]) -> str:
    """A C expression for needed[end - 1], where some steps each may need the same: those of an image row in parts."""
    count = len(needed)
    wide = max(n for n in range(1, count + 1) if all(needed[k] == needed[k - k % n] for k in range(count)))
    return linear(needed[::wide], "end" if wide == 1 else f"((end + {wide - 1}) / {wide})")


def linear(needed: Sequence[int], end: str = "end") -> str:
    """A C expression for needed[end - 1]: a straight line that stops at the last value. What is below 0 means 0."""
    most = needed[-1]
    slopes = {b - a: (k, a) for k, (a, b) in reversed(list(enumerate(itertools.pairwise(needed))))}
    for slope, (k, value) in sorted(slopes.items(), reverse=True):
        start = value - slope * (k + 1)
        values = [slope * (i + 1) + start for i in range(len(needed))]
        if slope and needed == [max(0, min(most, v)) for v in values]:
            line = end if slope == 1 else f"{slope} * {end}"
            line += f" + {start}" if start > 0 else f" - {-start}" if start < 0 else ""
            return line if values[-1] == most else f"tin_min({line}, {most})"
    assert all(value == most for value in needed), f"no straight line: {needed}"
    return str(most)
