"""Graphs and plans as text, for people who want to see each arrow of the pipeline."""

from __future__ import annotations

from . import ops
from .emit.memory_map import memory_map
from .graph import Graph, Tensor
from .plan import Plan


def dump_graph(stage: str, graph: Graph) -> str:
    """One line a node: op, output type, inputs, attributes."""
    lines = [f"-- {stage}: {len(graph.nodes)} nodes, {len(graph.tensors)} tensors"]
    for index, node in enumerate(graph.nodes):
        inputs = ", ".join("none" if n is None else label(graph[n]) for n in node.inputs)
        outputs = ", ".join(label(graph[n]) for n in node.outputs)
        attrs = "" if node.attrs is None else f"  {node.attrs.__class__.__name__}{vars(node.attrs)}"
        lines.append(f"{index:4} {node.op}({inputs}) -> {outputs}{attrs}")
    return "\n".join(lines)


def label(t: Tensor) -> str:
    shape = "x".join(map(str, t.shape)) or "scalar"
    return f"{'const ' if t.data is not None else ''}{t.name!r}:{t.dtype}[{shape}]"


def dump_plan(plan: Plan) -> str:
    """The memory map and totals."""
    views = sum(ops.find(n.op).view for n in plan.graph.nodes)
    head = f"-- plan: {plan.arena_bytes} bytes of arena, {plan.scratch_bytes} of scratch, {views} views"
    return "\n".join([f"{head}, packed {plan.packing}", *memory_map(plan)])
