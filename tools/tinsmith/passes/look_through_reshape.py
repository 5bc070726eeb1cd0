"""Lets fully connected layers read images as they are."""

from __future__ import annotations

from dataclasses import replace

from .. import ops
from ..graph import Graph, Node
from ._rewrite import producer, replaced


def look_through_reshape(graph: Graph) -> Graph:
    """A FULLY_CONNECTED of a reshaped tensor reads the tensor itself: it goes by bytes, not by shapes. An image whose
    shape is known can be consumed row by row; a flat one cannot."""
    for node in graph.nodes:
        looking = node
        while (nearer := looked_through(graph, looking)) is not None:
            looking = nearer
        graph = replaced(graph, node, looking)
    return graph.pruned()


def looked_through(graph: Graph, node: Node) -> Node | None:
    """The layer with the input of the view that it reads, or None where that would not be the same."""
    view = producer(graph, node.inputs[0])
    # With keep_num_dims, the shape of the output follows that of the input.
    if node.op != "FULLY_CONNECTED" or node.attrs.keep_num_dims or view is None or not ops.find(view.op).view:
        return None
    before, after = graph[view.inputs[0] or ""], graph[view.outputs[0]]
    # Files may quantize the two differently, and then the layer's scales are those of what it was given.
    if (before.dtype, before.quant, before.nbytes) != (after.dtype, after.quant, after.nbytes):
        return None
    nearer = replace(node, inputs=(before.name, *node.inputs[1:]))
    op, call = ops.find(node.op), ops.Call.of(graph, nearer)
    return nearer if op.broken_rule(call) is None and op.output_shape(call) == call.y.shape else None
