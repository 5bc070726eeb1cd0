"""In which order rows are computed: on demand, from the end of a chain, row by row.

To complete a row of a buffer, its task first demands the rows that it needs, and so on backwards. Buffers that are
`whole` are complete before anything behind them begins: if all are, the model runs layer by layer. Nothing is ever
computed twice. The generated C makes the same demands by the same rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .tasks import MOST_ROWS, Task

FEED = -1  # "node" of a run that fetches rows of the model's input


@dataclass(frozen=True)
class Run:
    """One call of a kernel: steps [first, end) of a node."""

    node: int
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class Flow:
    """Tasks in the order of their nodes, and how they follow each other."""

    tasks: Sequence[Task]
    counts: Mapping[str, int]  # rows of each buffer
    whole: Collection[str]  # buffers that are complete before anything behind them begins
    fed: Collection[str]  # inputs of the model that come row by row
    steps: Mapping[int, int]  # node -> steps a call, where the node is streamed

    def steps_a_call(self, task: Task) -> int:
        """Steps of one call: all where all that the task reads is there and all that it writes is wanted."""
        if task.steps > MOST_ROWS or self.is_layer(task):
            return task.steps
        return min(task.steps, self.steps.get(task.node, 1))

    def is_layer(self, task: Task) -> bool:
        """Whether the task runs in one call."""
        given = all(read.buffer in self.whole for read in task.reads)
        return given and task.buffer in self.whole


def schedule(flow: Flow, targets: Sequence[str]) -> list[Run]:
    """The runs that complete the buffers `targets`, one after the other."""
    producer = {task.buffer: task for task in flow.tasks}
    size = {task.buffer: flow.steps_a_call(task) for task in flow.tasks}
    made = producer.keys() | set(flow.fed)
    needs = {task.buffer: [read for read in task.reads if read.buffer in made] for task in flow.tasks}
    taken = dict.fromkeys(producer, 0)  # steps
    fetched = dict.fromkeys(flow.fed, 0)  # rows
    runs: list[Run] = []

    def demand(buffer: str, row: int) -> None:
        if buffer in fetched:
            while fetched[buffer] <= row:
                runs.append(Run(FEED, fetched[buffer], fetched[buffer] + 1))
                fetched[buffer] += 1
        task = producer.get(buffer)
        if task is None or row < 0:
            return
        while taken[buffer] <= task.done[row]:
            first = taken[buffer]
            end = min(task.steps, first + size[buffer])
            for read in needs[buffer]:
                whole = read.buffer in flow.whole
                demand(read.buffer, flow.counts[read.buffer] - 1 if whole else read.last(first, end))
            runs.append(Run(task.node, first, end))
            taken[buffer] = end

    for target in targets:
        demand(target, flow.counts[target] - 1)
    return runs


def run_count(flow: Flow, targets: Sequence[str]) -> int:
    """How many runs `schedule` returns, which is known without their order."""
    last = {target: flow.counts[target] - 1 for target in targets}  # row that is demanded of each buffer
    runs = 0
    for task in reversed(flow.tasks):
        row = last.get(task.buffer, -1)
        if row < 0:
            continue
        size = flow.steps_a_call(task)
        calls = task.done[row] // size + 1
        runs += calls
        for read in task.reads:
            whole = read.buffer in flow.whole
            wanted = flow.counts[read.buffer] - 1 if whole else read.last(0, min(task.steps, calls * size))
            last[read.buffer] = max(last.get(read.buffer, -1), wanted)
    return runs + sum(last.get(name, -1) + 1 for name in flow.fed)
