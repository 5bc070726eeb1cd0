"""Turns element-wise ops on bytes into tables."""

from __future__ import annotations

from .. import ops
from ..graph import Graph, Node
from ..ops._table import Tabulated
from ._rewrite import replaced, with_constant


def tabulate(graph: Graph) -> Graph:
    """RELU, RELU6, LOGISTIC and QUANTIZE from bytes to bytes become LOOKUP in a table of their 256
    results."""
    for node in graph.nodes:
        op, call = ops.find(node.op), ops.Call.of(graph, node)
        if isinstance(op, Tabulated) and op.tabulated(call):
            name = f"{node.outputs[0]}:table"
            graph = with_constant(graph, name, op.results(call))
            lookup = Node("LOOKUP", node.name, (node.inputs[0], name), node.outputs, ops.find("LOOKUP").Attrs(), 0)
            graph = replaced(graph, node, lookup)
    return graph
