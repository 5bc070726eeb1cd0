"""Where every tensor lies in the arena, and in which order rows are computed.

tasks -> schedule -> lifetimes -> packing; `search` says which ways through a graph are worth to be tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from .. import ops
from ..errors import Unsupported
from ..graph import Array, Graph, Node
from ..ops import Op
from . import feed
from .lifetimes import ROW_UNIT, SCRATCH, STATE, TABLE_STRIDE, Buffer
from .memories import MEMORY_SPAN, Memory, Room, traffic
from .schedule import FEED, Run
from .tasks import Rows, Task, find_roots, make_task, sizes_of

__all__ = ["SCRATCH", "TABLES_MACRO", "TABLE_STRIDE", "Buffer", "Plan", "Run", "find_roots", "plan", "scratch_name"]

TABLES_MACRO = "TIN_ROW_TABLES"  # 0 where no rows are found through tables (tin_rows.h)
MEMORIES_MACRO = "TIN_MEMORIES"  # 0 where there is one memory


@dataclass(frozen=True)
class Plan:
    """A graph with the place of everything it computes."""

    graph: Graph
    buffers: tuple[Buffer, ...]
    roots: Mapping[str, str]  # tensor -> the buffer that holds it
    packing: str  # how the places were found
    kernels: Mapping[str, Op]  # of each node, by its output
    runs: tuple[Run, ...]  # the calls of kernels, in order
    cuts: tuple[str, ...]  # buffers that are complete before anything behind them begins; the rest runs on demand
    steps: Mapping[str, int]  # steps a call of the nodes that are streamed, by their output
    fed: tuple[str, ...] = ()  # inputs that come row by row
    memories: tuple[Memory, ...] = ()  # if there are several

    @cached_property
    def by_name(self) -> Mapping[str, Buffer]:
        return {b.name: b for b in self.buffers}

    @cached_property
    def views(self) -> Mapping[str, str]:
        """Tensor -> the tensor that it is a view of, or itself."""
        return find_roots(self.graph)

    @cached_property
    def sizes(self) -> Mapping[str, Rows]:
        """(rows, bytes a row) of each tensor that is no view."""
        return sizes_of(self.graph, self.views)

    @cached_property
    def tasks(self) -> Mapping[int, Task]:
        """What each node that computes reads and writes, by its index in the graph."""
        nodes = enumerate(self.graph.nodes)
        wanted = {i: self.kernel(node) for i, node in nodes if not self.kernel(node).view}
        return {i: make_task(self.graph, self.views, self.sizes, i, kernel) for i, kernel in wanted.items()}

    @cached_property
    def runs_of(self) -> Mapping[int, Sequence[Run]]:
        """The runs of each node, by its index in the graph."""
        found: dict[int, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.node, []).append(run)
        return found

    def kernel(self, node: Node) -> Op:
        """What computes a node."""
        return self.kernels[node.outputs[0]]

    def buffer(self, tensor: str) -> Buffer:
        """What holds a tensor."""
        return self.by_name[self.roots[tensor]]

    def offset(self, tensor: str) -> int:
        """Bytes from the start of the arena to a tensor, or to the ring of its rows."""
        return self.buffer(tensor).offset

    def memory_of(self, offset: int) -> int:
        """Which memory an address lies in: 0 is the arena."""
        return sum(offset >= memory.start for memory in self.memories[1:])

    def c_place(self, offset: int) -> int:
        """An address as generated code states it: see tin_at in tin_rows.h."""
        number = self.memory_of(offset)
        return number * MEMORY_SPAN + offset - self.memories[number].start if self.memories else offset

    @property
    def memory_names(self) -> tuple[str, ...]:
        return tuple(memory.room.name for memory in self.memories) or ("arena",)

    @property
    def lacking(self) -> int:
        """Bytes that memories lack for this plan."""
        return sum(memory.over for memory in self.memories)

    @cached_property
    def traffic(self) -> Mapping[str, int]:
        """Bytes that calls read and write in each buffer, as memories.traffic counts them."""
        return traffic(self.tasks, self.runs, self.sizes, self.roots)

    @property
    def traffic_shares(self) -> tuple[float, ...]:
        """The share of each of several memories in the traffic."""
        found = [0] * len(self.memories)
        for name, nbytes in self.traffic.items() if found else ():
            found[self.memory_of(self.by_name[name].offset)] += nbytes
        return tuple(nbytes / max(1, sum(found)) for nbytes in found)

    def is_ring(self, tensor: str) -> bool:
        """Whether the rows of a tensor do not all lie one behind the other: mostly only some of them are in memory."""
        buffer = self.buffer(tensor)
        return bool(buffer.places) or buffer.rows < self.sizes[buffer.name][0]

    def row_range(self, buffer: str, row: int) -> tuple[int, int]:
        """First byte of the arena that a row of a root tensor lies in, and the one behind it."""
        held = self.buffer(buffer)
        start = held.offset + (held.places[row] if held.places else row % held.rows * held.row_bytes)
        return start, start + held.row_bytes

    def rows_held(self, tensor: str, count: int) -> int:
        """How many of a tensor's `count` rows, as some kernel sees them, lie one behind the other: of a ring, all that
        are in memory at a time."""
        buffer = self.buffer(tensor)
        return 1 if buffer.places else buffer.rows if self.is_ring(tensor) else count

    def row_table(self, tensor: str) -> Array | None:
        """Where the rows of a tensor lie, in units of ROW_UNIT bytes from the start of the arena, if a table in flash
        is to tell: [rows], uint16."""
        buffer = self.buffer(tensor)
        if not buffer.places:
            return None
        return ((buffer.offset + np.array(buffer.places)) // ROW_UNIT).astype(np.uint16)

    @property
    def fed_bytes(self) -> int:
        """Bytes of all rows of the input if it comes row by row, else 0."""
        return sum(self.graph[name].nbytes for name in self.fed)

    @property
    def rows_fetched(self) -> int:
        """How many rows of the input are fetched, from the first on, if it comes row by row."""
        return sum(run.node == FEED for run in self.runs)

    def scratch_offset(self, node: Node) -> int:
        return self.by_name[scratch_name(node)].offset

    def state_offset(self, node: Node) -> int:
        return self.by_name[f"{STATE}{node.outputs[0]}"].offset

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Source files of the kernels that run, relative to firmware/core."""
        return tuple(sorted({name for kernel in self.kernels.values() if not kernel.view for name in kernel.sources}))

    def stretches(self, node: int) -> Iterator[int]:
        """Steps that are computed at a time by the node with that index: a call, or up to the end of a ring."""
        name = self.graph.nodes[node].outputs[0]
        for run in self.runs_of.get(node, ()):
            held = self.rows_held(name, run.end)
            starts = [run.first, *range(run.first // held * held + held, run.end, held), run.end]
            yield from (end - first for first, end in pairwise(starts))

    def omitted_parts(self, thrifty: bool) -> tuple[str, ...]:
        """Macros of parts of these kernels that no node uses (Op.used_parts)."""
        offered = {kernel.part_macro(part) for kernel in self.kernels.values() for part in kernel.parts}
        for i, node in enumerate(self.graph.nodes):
            kernel, call = self.kernel(node), ops.Call.of(self.graph, node)
            used = set(kernel.used_parts(replace(call, stretches=tuple(self.stretches(i))), thrifty))
            if any(self.is_ring(name) for name in node.inputs if name is not None and name in self.roots):
                used |= kernel.parts.keys() if kernel.ring_parts is None else kernel.ring_parts
            offered -= {kernel.part_macro(part) for part in used}
        return tuple(sorted(offered))

    def omitted(self, thrifty: bool) -> tuple[str, ...]:
        """All macros that may be 0 for this plan: those of parts, of tables of rows, of several memories."""
        tables = () if any(b.places for b in self.buffers) else (TABLES_MACRO,)
        memories = () if self.memories else (MEMORIES_MACRO,)
        return (*self.omitted_parts(thrifty), *tables, *memories)

    @property
    def arena_bytes(self) -> int:
        """Bytes of RAM for inputs, outputs, everything between and scratch: exact. Of several memories, the sum."""
        ends = [b.end for b in self.buffers] + [memory.end for memory in self.memories]
        return max(ends, default=0)

    @property
    def scratch_bytes(self) -> int:
        """The largest scratch of any node; it lies in the arena."""
        return max((b.nbytes for b in self.buffers if b.name.startswith(SCRATCH)), default=0)


def scratch_name(node: Node) -> str:
    return f"{SCRATCH}{node.outputs[0]}"


def plan(
    graph: Graph, kernels: Mapping[str, Op] | None = None, pixels: int | None = None, ram: int | None = None,
    fed: bool = False, rooms: Sequence[Room] = (),
) -> Plan:  # fmt: skip
    """The smallest arena found for a graph, by several ways through it and several orders of packing.

    `kernels` is what ops.choose chose; by default portable kernels run. With `pixels`, layers may run row by row, in
    calls that compute at least so many pixels, or fewer if a kernel says so; otherwise they run one by one. `ram` is a
    budget in bytes: the plan is then the one that costs the least time of those that fit. With `fed`, the model's input
    comes row by row.
    `rooms` are several memories to be used, the fastest first.
    Raises Unsupported for models whose output does not depend on their input and for inputs that cannot come row by
    row, BudgetMissed if no plan fits.
    """
    from .search import Wish, search

    for name in graph.outputs:
        if graph[name].data is not None:
            raise Unsupported(f"{graph.name}: the output {name!r} does not depend on the input")
    if fed:
        feed.check_graph(graph)
    found = search(graph, ops.choose(graph, ()) if kernels is None else kernels, Wish(pixels, ram, fed, tuple(rooms)))
    feed.check_plan(found)
    return found
