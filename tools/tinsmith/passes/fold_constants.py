"""Computes what does not depend on the model's inputs."""

from __future__ import annotations

from dataclasses import replace

from .. import ops
from ..check import finding
from ..graph import Graph, Node, Tensor

MAX_BYTES = 4096  # larger results stay computed: folding them would trade flash for time unasked


def fold_constants(graph: Graph) -> Graph:
    """Replaces nodes with constant inputs, and shapes, by constants: the shape arithmetic of exporters."""
    tensors, nodes = dict(graph.tensors), []
    for node in graph.nodes:
        current = replace(graph, tensors=tensors)
        folded = evaluate(current, node)
        if folded is None:
            nodes.append(node)
        else:
            tensors[folded.name] = folded
    return drop_shape_inputs(replace(graph, tensors=tensors, nodes=tuple(nodes))).pruned()


def evaluate(graph: Graph, node: Node) -> Tensor | None:
    """The node's output as a constant, or None if it depends on inputs, is large or not understood."""
    call_inputs = [graph[n] for n in node.inputs if n is not None]
    constant = bool(call_inputs) and all(t.data is not None for t in call_inputs)
    large = graph[node.outputs[0]].nbytes > MAX_BYTES and not is_view(node)  # a view holds the same bytes
    if large or not (constant or node.op == "SHAPE"):
        return None
    if finding(graph, node) is not None:
        return None
    call = ops.Call.of(graph, node)
    value = ops.find(node.op).reference(call, [None if t is None else t.data for t in call.inputs])
    return replace(call.y, data=value)


def drop_shape_inputs(graph: Graph) -> Graph:
    """A view's further inputs only say what its output's shape says already, so it loses them."""
    nodes = tuple(replace(n, inputs=n.inputs[:1]) if is_view(n) else n for n in graph.nodes)
    return replace(graph, nodes=nodes)


def is_view(node: Node) -> bool:
    op = ops.table().get(node.op)
    return op is not None and op.view
