"""From a flow to a plan: schedule, lifetimes, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..graph import Graph
from ..ops import Op
from . import Plan
from .lifetimes import SCRATCH, STATE, Buffer, History, Stretch, history, mask, ring_size, shared, stretches
from .loose import loose_packing
from .memories import ADDRESS_BYTES, ADDRESSES, Memory, Room, spread, traffic
from .packing import Forbidden, best_packing, collisions, intersection, negative
from .schedule import Flow, Run, schedule
from .tasks import Rows, Task, sizes_of


def targets(graph: Graph, roots: Mapping[str, str], flow: Flow) -> list[str]:
    """What is completed, in order: whole buffers as their nodes come, and the outputs."""
    outputs = {roots[name] for name in graph.outputs}
    return [task.buffer for task in flow.tasks if task.buffer in flow.whole or task.buffer in outputs]


def record(
    graph: Graph, roots: Mapping[str, str], sizes: Mapping[str, Rows], flow: Flow, runs: Sequence[Run]
) -> History:
    given = [name for name in graph.inputs if name not in flow.fed]
    kept = dict.fromkeys(roots[name] for name in graph.outputs)
    return history(flow.tasks, runs, sizes, given, list(kept), flow.fed)


def place(
    graph: Graph, roots: Mapping[str, str], kernels: Mapping[str, Op], flow: Flow, tables: bool, quick: bool = False,
    rooms: Sequence[Room] = (),
) -> Plan:  # fmt: skip
    """The plan of a flow, packed as well as could be found. With `tables`, rows of rings may lie anywhere. `quick`: to
    compare it with others, not to keep it. With `rooms`, there are several memories, and no tables."""
    goals = targets(graph, roots, flow)
    runs = schedule(flow, goals)
    sizes = sizes_of(graph, roots)
    past = record(graph, roots, sizes, flow, runs)
    streamed = {task.node for task in flow.tasks if not flow.is_layer(task)}
    holder = shared(flow.tasks, past, roots, streamed)
    buffers = list(make_buffers(graph, flow, past, holder))
    forbidden = conflicts(flow.tasks, past, buffers, holder)
    tensors = {tensor: holder[root] for tensor, root in roots.items()}
    if rooms:
        heat = traffic({task.node: task for task in flow.tasks}, runs, sizes, tensors)
        places = in_rooms(buffers, forbidden, heat, rooms, past.moments)
    else:
        places = in_arena(buffers, forbidden, past, tables, quick)
    outputs = [node.outputs[0] for node in graph.nodes]
    used = {outputs[task.node]: task.op for task in flow.tasks}
    return Plan(
        graph,
        places.buffers,
        tensors,
        places.packing,
        {name: used.get(name, kernel) for name, kernel in kernels.items()},
        tuple(runs),
        tuple(name for name in goals if name in flow.whole),
        {outputs[task.node]: flow.steps_a_call(task) for task in flow.tasks if task.node in streamed},
        tuple(flow.fed),
        places.memories,
    )


@dataclass(frozen=True)
class Places:
    """Buffers that have their places, and how these were found."""

    buffers: tuple[Buffer, ...]
    packing: str
    memories: tuple[Memory, ...] = ()


def in_arena(
    buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]], past: History, tables: bool, quick: bool
) -> Places:
    """Places in one memory."""
    found = best_packing(buffers, forbidden, quick)
    loose = loose_packing(buffers, forbidden, past, found, quick) if tables else None
    if loose:
        return Places(loose, "rows one by one")
    return Places(moved(buffers, found.offsets), found.name)


def in_rooms(
    buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]], heat: Mapping[str, int],
    rooms: Sequence[Room], moments: int,
) -> Places:  # fmt: skip
    """Places in several memories. In front of all is room for their addresses."""
    offsets, memories = spread(buffers, forbidden, heat, rooms)
    nbytes = ADDRESS_BYTES * (len(rooms) - 1)
    last = max(b.last for b in buffers)
    addresses = Buffer(ADDRESSES, 1, nbytes, (Stretch(0, nbytes, mask(0, moments - 1)),), -1, last)
    return Places((addresses, *moved(buffers, offsets)), "the hottest first", memories)


def moved(buffers: Sequence[Buffer], offsets: Sequence[int]) -> tuple[Buffer, ...]:
    return tuple(replace(b, offset=offset) for b, offset in zip(buffers, offsets, strict=True))


def make_buffers(graph: Graph, flow: Flow, past: History, holder: Mapping[str, str]) -> list[Buffer]:
    """One buffer for each root, and one for each node's scratch and state."""
    spans: dict[str, list[int]] = {}
    for task in flow.tasks:
        for name in (task.buffer, *(read.buffer for read in task.reads)):
            spans.setdefault(holder[name], []).append(task.node)
    found = []
    outputs = set(graph.outputs)
    for name, rows in past.rows.items():
        if holder[name] != name:
            continue
        held = ring_size(rows)
        nodes = spans.get(name, [-1])
        inside = [n for n, h in holder.items() if h == name]
        first = -1 if name in graph.inputs else min(nodes)
        last = len(graph.nodes) if any(n in outputs for n in inside) else max(nodes)
        found.append(Buffer(name, held, rows.nbytes, stretches(rows, held), first, last))
    for task in flow.tasks:
        output, moments = task.call.y.name, past.busy[task.node]
        for kind, nbytes, bits in (
            (SCRATCH, task.scratch_bytes, sum(1 << m for m in moments)),
            (STATE, task.state_bytes, mask(moments[0], moments[-1])),
        ):
            if nbytes:
                found.append(Buffer(kind + output, 1, nbytes, (Stretch(0, nbytes, bits),), task.node, task.node))
    return found


def conflicts(
    tasks: Sequence[Task], past: History, buffers: Sequence[Buffer], holder: Mapping[str, str]
) -> list[dict[int, Forbidden]]:
    """For each buffer: the others alive at the same time, and the distances at which they would collide."""
    allowed = overlaps(tasks, past, {b.name: b for b in buffers}, holder)
    result: list[dict[int, Forbidden]] = [{} for _ in buffers]
    for i, own in enumerate(buffers):
        for j, other in enumerate(buffers[:i]):
            intervals = collisions(own, other)
            if intervals and (own.name, other.name) in allowed:
                intervals = intersection(intervals, allowed[own.name, other.name])
            if intervals and (other.name, own.name) in allowed:
                intervals = intersection(intervals, negative(allowed[other.name, own.name]))
            if intervals:
                result[i][j], result[j][i] = intervals, negative(intervals)
    return result


def overlaps(
    tasks: Sequence[Task], past: History, buffers: Mapping[str, Buffer], holder: Mapping[str, str]
) -> dict[tuple[str, str], Forbidden]:
    """(output, input) of nodes that read an input for the last time -> distances up to the input that are forbidden.

    That is finer than rows: how far a node's output may run into its input, by the op's `separation` and `in_place`.
    Both must be whole in memory.
    """
    found: dict[tuple[str, str], Forbidden] = {}
    for task in tasks:
        output = holder[task.buffer]
        start = past.busy[task.node][0]
        for name in {read.buffer for read in task.reads}:
            indices = [read.index for read in task.reads if read.buffer == name]
            source = holder[name]
            if source == output or not (
                is_whole(past, buffers[source], name) and is_whole(past, buffers[output], task.buffer)
            ):
                continue
            others = [t for t in tasks if t is not task and name in (t.buffer, *(r.buffer for r in t.reads))]
            dies = name == source and all(past.busy[t.node][-1] < start for t in others) and is_dead(past, name, task)
            if not dies or task.buffer != output:
                continue
            found[output, source] = keep_out(task, indices, buffers[output].nbytes, buffers[source].nbytes, past)
    return found


def is_whole(past: History, buffer: Buffer, name: str) -> bool:
    return buffer.rows == len(past.rows[name].born)


def is_dead(past: History, name: str, task: Task) -> bool:
    """Whether nobody needs the buffer after the task."""
    return max(past.rows[name].dead) <= past.busy[task.node][-1]


def keep_out(task: Task, indices: Sequence[int], own: int, other: int, past: History) -> Forbidden:
    """Distances from a node's output up to its dying input at which they would collide."""
    distances = [task.op.separation(task.call, index) for index in indices]
    known = [d for d in distances if d is not None]
    low, high = -other, own
    if len(known) == len(distances):
        high = min(high, max(0, *known, 0))
    in_place = all(task.op.in_place(task.call, index) for index in indices)
    if in_place and low < 0 < high and len(past.busy[task.node]) == 1:
        return (low, 0), (0, high)
    return ((low, high),) if low < high else ()
