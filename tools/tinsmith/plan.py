"""Where every tensor lies in the arena.

Each tensor that is written at run time, and each node's scratch, becomes a buffer with a lifetime.
Views share their source's buffer. Two buffers that are alive at the same time must not overlap,
except that a node's output may run into an input that dies there, as far as the op's own
`separation` allows: in place is the case of a separation of zero.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from . import ops
from .errors import Unsupported
from .graph import Graph, Node

ALIGNMENT = 4  # TIN_ARENA_ALIGN
SEARCH_STEPS = 1500  # tries of the local search over packing orders
SEARCH_LIMIT = 3_000_000  # steps times tensors squared, so that large graphs do not wait


@dataclass(frozen=True)
class Buffer:
    """A range of the arena, needed from just before node `first` writes it until node `last` has read it."""

    name: str
    nbytes: int
    first: int  # -1: before the run
    last: int  # number of nodes: after the run
    offset: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.nbytes


@dataclass(frozen=True)
class Plan:
    """A graph with the place of everything it computes."""

    graph: Graph
    buffers: tuple[Buffer, ...]
    roots: Mapping[str, str]  # tensor -> the buffer that holds it
    packing: str  # which order of packing won
    kernels: Mapping[str, ops.Op]  # of each node, by its output

    @cached_property
    def by_name(self) -> Mapping[str, Buffer]:
        return {b.name: b for b in self.buffers}

    def kernel(self, node: Node) -> ops.Op:
        """What computes a node."""
        return self.kernels[node.outputs[0]]

    def offset(self, tensor: str) -> int:
        """Bytes from the start of the arena to a tensor."""
        return self.by_name[self.roots[tensor]].offset

    def scratch_offset(self, node: Node) -> int:
        return self.by_name[scratch_name(node)].offset

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Source files of the kernels that run, relative to firmware/core."""
        return tuple(sorted({name for kernel in self.kernels.values() if not kernel.view for name in kernel.sources}))

    def omitted_parts(self, thrifty: bool) -> tuple[str, ...]:
        """Macros of parts of these kernels that no node uses (Op.used_parts)."""
        offered = {kernel.part_macro(part) for kernel in self.kernels.values() for part in kernel.parts}
        for node in self.graph.nodes:
            kernel, call = self.kernel(node), ops.Call.of(self.graph, node)
            offered -= {kernel.part_macro(part) for part in kernel.used_parts(call, thrifty)}
        return tuple(sorted(offered))

    @property
    def arena_bytes(self) -> int:
        """Bytes of RAM for inputs, outputs, everything between and scratch: exact."""
        return max((b.end for b in self.buffers), default=0)

    @property
    def scratch_bytes(self) -> int:
        """The largest scratch of any node; it lies in the arena."""
        return max((b.nbytes for b in self.buffers if b.name.startswith(SCRATCH)), default=0)


SCRATCH = "scratch of "


def scratch_name(node: Node) -> str:
    return f"{SCRATCH}{node.outputs[0]}"


def plan(graph: Graph, kernels: Mapping[str, ops.Op] | None = None) -> Plan:
    """Places all buffers by several orders of packing and a local search, and keeps the smallest arena.

    `kernels` is what ops.choose chose; by default portable kernels run.

    Raises Unsupported for models whose output does not depend on their input.
    """
    for name in graph.outputs:
        if graph[name].data is not None:
            raise Unsupported(f"{graph.name}: the output {name!r} does not depend on the input")
    kernels = ops.choose(graph, ()) if kernels is None else kernels
    roots = find_roots(graph)
    buffers = list(lifetimes(graph, roots, kernels))
    offsets, packing = best_packing(buffers, conflicts(graph, roots, buffers, kernels))
    placed = tuple(Buffer(b.name, b.nbytes, b.first, b.last, o) for b, o in zip(buffers, offsets, strict=True))
    return Plan(graph, placed, roots, packing, kernels)


def find_roots(graph: Graph) -> dict[str, str]:
    """Tensor -> the tensor whose bytes it shares; itself unless it is a view."""
    roots = {t.name: t.name for t in graph.activations()}
    for node in graph.nodes:
        if ops.find(node.op).view:
            roots[node.outputs[0]] = roots[node.inputs[0] or ""]
    return roots


def lifetimes(graph: Graph, roots: Mapping[str, str], kernels: Mapping[str, ops.Op]) -> Iterator[Buffer]:
    """One buffer for each root, and one for each node's scratch."""
    first: dict[str, int] = {name: -1 for name in graph.inputs}
    last: dict[str, int] = {name: -1 for name in graph.inputs}
    for i, node in enumerate(graph.nodes):
        for name in node.outputs:
            first.setdefault(roots[name], i)
            last[roots[name]] = i
        for source in node.inputs:
            if source is not None and source in roots:
                last[roots[source]] = i
    for name in graph.outputs:
        last[roots[name]] = len(graph.nodes)
    for name in dict.fromkeys(roots.values()):
        yield Buffer(name, graph[name].nbytes, first[name], last[name])
    for i, node in enumerate(graph.nodes):
        call = ops.Call.of(graph, node)
        nbytes = kernels[call.y.name].scratch_bytes(call)
        if nbytes:
            yield Buffer(scratch_name(node), nbytes, i, i)


Forbidden = tuple[tuple[int, int], ...]  # open intervals of (offset of the other buffer - own offset)


@dataclass(frozen=True)
class Overlap:
    """How far a node's output may run into an input that dies there."""

    separation: int | None  # least distance from the output up to the input; None: any overlap is forbidden
    in_place: bool  # a distance of exactly 0 is right, whatever else


def conflicts(
    graph: Graph, roots: Mapping[str, str], buffers: Sequence[Buffer], kernels: Mapping[str, ops.Op]
) -> list[dict[int, Forbidden]]:
    """For each buffer: the others alive at the same time, and the distances at which they would collide."""
    overlaps = dict(allowed_overlaps(graph, roots, kernels))
    result: list[dict[int, Forbidden]] = [{} for _ in buffers]
    for i, a in enumerate(buffers):
        for j, b in enumerate(buffers[:i]):
            if a.first <= b.last and b.first <= a.last:
                # One of them may be the dying input of the other's node.
                upper = overlaps.get((b.name, a.name)) if b.last == a.first else None
                lower = overlaps.get((a.name, b.name)) if a.last == b.first else None
                intervals = keep_out(a.nbytes, b.nbytes, lower, upper)
                result[i][j], result[j][i] = intervals, tuple((-high, -low) for low, high in intervals)
    return result


def keep_out(own: int, other: int, lower: Overlap | None, upper: Overlap | None) -> Forbidden:
    """Distances up to the other buffer at which it would collide with the own one. `lower` holds where the other is
    the output of a node that reads the own one for the last time, `upper` where it is the other way round."""
    low, high = -other, own
    if lower is not None and lower.separation is not None:
        low = max(low, -lower.separation)
    if upper is not None and upper.separation is not None:
        high = min(high, upper.separation)
    if low < 0 < high and any(overlap is not None and overlap.in_place for overlap in (lower, upper)):
        return (low, 0), (0, high)
    return ((low, high),)


def allowed_overlaps(
    graph: Graph, roots: Mapping[str, str], kernels: Mapping[str, ops.Op]
) -> Iterator[tuple[tuple[str, str], Overlap]]:
    """((input buffer, output buffer), what the op allows) for each node's inputs."""
    for node in graph.nodes:
        call = ops.Call.of(graph, node)
        op = kernels[call.y.name]
        if op.view:
            continue
        out = roots[node.outputs[0]]
        distances: dict[str, list[int | None]] = {}
        sources: dict[str, bool] = {}
        for index in op.runtime_inputs(call):
            name = node.inputs[index]
            if name is not None and name in roots:
                distances.setdefault(roots[name], []).append(op.separation(call, index))
                sources[roots[name]] = op.in_place(call, index) and sources.get(roots[name], True)
        for source, found in distances.items():
            known = [d for d in found if d is not None]
            separation = max(0, *known, 0) if len(known) == len(found) else None
            yield (source, out), Overlap(separation, sources[source])


def best_packing(buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]]) -> tuple[list[int], str]:
    """Offsets of the smallest arena found, and the name of the order that gave it."""
    indices = range(len(buffers))
    orders = {
        "largest first": sorted(indices, key=lambda i: (-buffers[i].nbytes, buffers[i].first)),
        "most crowded first": sorted(indices, key=lambda i: (-sum(buffers[j].nbytes for j in forbidden[i]), i)),
        "in order of birth": sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].nbytes)),
        "in order of death": sorted(indices, key=lambda i: (-buffers[i].last, -buffers[i].nbytes)),
        "longest lived first": sorted(indices, key=lambda i: (buffers[i].first - buffers[i].last, -buffers[i].nbytes)),
    }
    best: tuple[int, list[int], str, list[int]] | None = None
    for name, order in orders.items():
        offsets, size = pack(order, buffers, forbidden)
        if best is None or size < best[0]:
            best = (size, offsets, name, order)
    if best is None:
        return [], "nothing to pack"
    return local_search(best, buffers, forbidden)


def local_search(
    best: tuple[int, list[int], str, list[int]], buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]]
) -> tuple[list[int], str]:
    """Moves single buffers within the best order for a fixed number of steps; the seed is fixed too."""
    size, offsets, name, order = best
    floor = max(b.nbytes for b in buffers)
    # Scratch lives during one node only, and always finds a place behind the tensors.
    scratch = [i for i in order if buffers[i].name.startswith(SCRATCH)]
    order = [i for i in order if not buffers[i].name.startswith(SCRATCH)]
    rng = random.Random(1)
    for _ in range(min(SEARCH_STEPS, SEARCH_LIMIT // max(1, len(order) ** 2) + 1) if len(order) > 1 else 0):
        if size == floor:
            break
        tried = list(order)
        tried.insert(rng.randrange(len(tried)), tried.pop(rng.randrange(len(tried))))
        new_offsets, new_size = pack([*tried, *scratch], buffers, forbidden)
        if new_size <= size:
            if new_size < size:
                name = "local search"
            size, offsets, order = new_size, new_offsets, tried
    return offsets, name


def pack(
    order: Sequence[int], buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]]
) -> tuple[list[int], int]:
    """Puts each buffer at the lowest free place, in the given order: (offsets, arena bytes)."""
    offsets: dict[int, int] = {}
    for i in order:
        # The place of i relative to a placed j must avoid an interval, so free places begin at its end.
        taken = sorted(
            (offsets[j] - high, offsets[j] - low)
            for j, intervals in forbidden[i].items()
            if j in offsets
            for low, high in intervals
        )
        place = 0
        for start, end in taken:
            if start < place < end:
                place = align(end)
        offsets[i] = place
    size = max(offsets[i] + buffers[i].nbytes for i in order)
    return [offsets[i] for i in range(len(buffers))], size


def align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
