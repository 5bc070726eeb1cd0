"""Rows of a convolution's output in parts: less of a row then waits for a layer that takes its input bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .. import ops
from ..errors import BudgetMissed
from ..graph import Graph, Node
from ..ops import Call, Op
from . import Plan, plan
from .lifetimes import ROW_UNIT
from .memories import Room
from .tasks import MOST_ROWS


def plan_with_parts(
    graph: Graph, kernels: Mapping[str, Op], pixels: int | None, ram: int | None, fed: bool, rooms: Sequence[Room]
) -> Plan:
    """What plan.plan finds for a graph, or for the same with rows in parts, and raises.

    For one pixel a call, as where RAM is all that matters, the smaller arena wins, if no layer loses its fast kernel
    for it; within a budget, parts are taken if nothing else fits.
    """
    limited, parted = ram is not None or bool(rooms), split_rows(graph)

    def planned(graph: Graph, kernels: Mapping[str, Op]) -> Plan:
        return plan(graph, kernels, pixels, ram, fed, rooms)

    if parted is graph or not (limited or pixels == 1):
        return planned(graph, kernels)
    others = kernels_of(parted, kernels)
    if not limited:
        as_fast = all(bool(others[name].arch) == bool(kernel.arch) for name, kernel in kernels.items())
        found = [planned(graph, kernels), *([planned(parted, others)] if as_fast else [])]
        return min(found, key=lambda each: each.arena_bytes)
    try:
        return planned(graph, kernels)
    except BudgetMissed as whole:
        try:
            return planned(parted, others)
        except BudgetMissed as error:
            raise min(whole, error, key=lambda missed: missed.needed) from None


def split_rows(graph: Graph) -> Graph:
    """The graph with every convolution that only a FULLY_CONNECTED reads computing its rows in parts; the graph itself
    if there is none. Bytes and their order stay, and the layer behind goes by bytes."""
    for index in range(len(graph.nodes)):
        call = Call.of(graph, graph.nodes[index])
        count = parts_of(call) if is_summed(graph, call) else 1
        if count > 1:
            graph = split(graph, call, count)
    return graph


def is_summed(graph: Graph, call: Call) -> bool:
    """Whether a convolution's output is read by one fully connected layer alone, which takes all of it as one row."""
    readers = [graph.nodes[i] for i in graph.consumers.get(call.y.name, ())]
    if call.node.op != "CONV_2D" or [n.op for n in readers] != ["FULLY_CONNECTED"] or call.y.name in graph.outputs:
        return False
    return Call.of(graph, readers[0]).input(1).shape[1] == call.y.size


def parts_of(call: Call) -> int:
    """The most equal parts that rows of an output can be in: whole pixels, whole words, and not too many to plan."""
    _, height, width, channels = call.y.shape
    counts = range(1, min(width, MOST_ROWS // height) + 1)
    fits = [n for n in counts if width % n == 0 and width // n * channels % ROW_UNIT == 0]
    return max(fits, default=1)


def split(graph: Graph, call: Call, parts: int) -> Graph:
    """The graph with the output rows of one convolution in so many parts."""
    _, height, width, channels = call.y.shape
    y = replace(call.y, shape=(1, height * parts, width // parts, channels))
    node = replace(call.node, attrs=replace(call.attrs, row_parts=parts))
    nodes = tuple(node if n is call.node else n for n in graph.nodes)
    return replace(graph, nodes=nodes, tensors={**graph.tensors, y.name: y})


def kernels_of(graph: Graph, usual: Mapping[str, Op]) -> dict[str, Op]:
    """The kernel of each node of a graph whose rows are split, given what ops.choose chose before."""
    return {node.outputs[0]: kernel_of(graph, node, usual[node.outputs[0]]) for node in graph.nodes}


def kernel_of(graph: Graph, node: Node, usual: Op) -> Op:
    """The usual kernel or its lean form, if they can; else portable C."""
    call = Call.of(graph, node)
    return next((k for k in (usual, ops.lean_form(call, usual)) if k.suits(call)), ops.find(node.op))
