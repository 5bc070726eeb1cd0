"""What the planner knows of each node: its steps, the rows that they read and write, and the memory beside them.

All rows here are those of buffers: a buffer is a root tensor (one that is no view), and its rows are image rows. A
kernel that sees other rows than these, or all of a tensor at once, reads or writes the whole buffer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from .. import ops
from ..graph import Graph
from ..ops import Call, Op
from ..ops.tensors import image_rows

MOST_ROWS = 256  # of a tensor whose rows are planned; to look at every row of a freak would take minutes

Window = tuple[int, int]  # first and last row
Rows = tuple[int, int]  # how many, and bytes of each


@dataclass(frozen=True)
class Read:
    """What the steps of a task need of a buffer, through one input of the node."""

    buffer: str
    index: int  # of the node's input
    windows: tuple[Window, ...]  # for each step; one for all if there are more than MOST_ROWS
    aligned: bool  # whether the kernel can find its rows in a ring

    def last(self, first: int, end: int) -> int:
        """The highest row that steps [first, end) need; -1 if they need none."""
        return max(self.windows[first:end], key=itemgetter(1))[1]


@dataclass(frozen=True, eq=False)
class Task:
    """A node that computes, with the kernel that computes it."""

    node: int  # index in the graph
    op: Op
    call: Call
    reads: tuple[Read, ...]
    buffer: str  # what it writes
    born: tuple[int, ...]  # for each row of the output: the step in which it may first be written
    done: tuple[int, ...]  # the step after which it is complete
    exact: bool  # whether a row of output is only written when no row before its window is needed any more

    @cached_property
    def steps(self) -> int:
        return self.op.step_count(self.call)

    def completed(self, first: int, end: int) -> range:
        """The rows of the output that steps [first, end) complete."""
        return range(bisect_left(self.done, first), bisect_left(self.done, end))

    @cached_property
    def scratch_bytes(self) -> int:
        return self.op.scratch_bytes(self.call)

    @cached_property
    def state_bytes(self) -> int:
        return self.op.state_bytes(self.call)


def find_roots(graph: Graph) -> dict[str, str]:
    """Tensor -> the tensor whose bytes it shares; itself unless it is a view."""
    roots = {t.name: t.name for t in graph.activations()}
    for node in graph.nodes:
        if ops.find(node.op).view:
            roots[node.outputs[0]] = roots[node.inputs[0] or ""]
    return roots


def sizes_of(graph: Graph, roots: Mapping[str, str]) -> dict[str, Rows]:
    """(rows, bytes a row) of each buffer: those of the view with the most rows; a single one if these are too many."""
    found: dict[str, Rows] = {}
    for tensor, root in roots.items():
        found[root] = max(found.get(root, (0, 0)), image_rows(graph[tensor]))
    return {name: size if size[0] <= MOST_ROWS else (1, graph[name].nbytes) for name, size in found.items()}


def make_task(graph: Graph, roots: Mapping[str, str], sizes: Mapping[str, Rows], index: int, op: Op) -> Task:
    """The task of a node, run by the kernel `op`. `sizes`: see `sizes_of`."""
    call = Call.of(graph, graph.nodes[index])
    reads = tuple(
        read_of(op, call, i, roots[call.input(i).name], sizes)
        for i in op.runtime_inputs(call)
        if call.input(i).name in roots
    )
    buffer, steps = roots[call.y.name], op.step_count(call)
    count, last = sizes[buffer][0], steps - 1
    if steps <= MOST_ROWS and op.rows(call, call.y) == sizes[buffer]:
        done = steps_of_rows(op, call, steps)
        born = done
    else:
        born, done = (0,) * count, (last,) * count
    exact = steps <= MOST_ROWS and all(op.separation(call, read.index) is not None for read in reads)
    return Task(index, op, call, reads, buffer, born, done, exact)


def steps_of_rows(op: Op, call: Call, steps: int) -> tuple[int, ...]:
    """For each output row, the step that completes it."""
    found: list[int] = []
    for step in range(steps):
        found += [step] * (op.rows_done(call, step + 1) - len(found))
    return tuple(found)


def read_of(op: Op, call: Call, index: int, root: str, sizes: Mapping[str, Rows]) -> Read:
    (count, _), steps = sizes[root], op.step_count(call)
    if steps > MOST_ROWS:
        return Read(root, index, ((0, count - 1),), False)
    if op.rows(call, call.input(index)) != sizes[root]:
        return Read(root, index, ((0, count - 1),) * steps, False)
    first = [op.first_input_row(call, index, step) for step in range(steps)]
    if None in first:
        return Read(root, index, ((0, count - 1),) * steps, False)
    windows = tuple((low or 0, op.last_input_row(call, index, step)) for step, low in enumerate(first))
    return Read(root, index, windows, True)


@dataclass(frozen=True)
class Forms:
    """A node's tasks: where it is a layer by itself, where its input is streamed, and where scratch is dear."""

    layer: Task
    streamed: Task
    lean: Task  # the streamed one if its kernel has no such form


def forms(graph: Graph, roots: Mapping[str, str], sizes: Mapping[str, Rows], kernels: Mapping[str, Op]) -> list[Forms]:
    """The forms of each node that computes."""
    found = []
    for index, node in enumerate(graph.nodes):
        kernel, call = kernels[node.outputs[0]], Call.of(graph, node)
        if kernel.view:
            continue
        made = {kernel: make_task(graph, roots, sizes, index, kernel)}
        streamed, lean = ops.row_form(call, kernel), ops.lean_form(call, kernel)
        wanted = (kernel, streamed, lean if lean is not kernel else streamed)
        for op in wanted:
            made[op] = made.get(op) or make_task(graph, roots, sizes, index, op)
        found.append(Forms(*(made[op] for op in wanted)))
    return found


def buffers_read(tasks: Sequence[Task]) -> set[str]:
    return {read.buffer for task in tasks for read in task.reads}
