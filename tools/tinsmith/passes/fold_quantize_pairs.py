"""Removes conversions that change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import ops
from ..graph import Array, Graph, Node, Tensor
from ._rewrite import bypass, producer, sole_reader, with_constant


def fold_quantize_pairs(graph: Graph) -> Graph:
    """DEQUANTIZE followed by QUANTIZE becomes one table of bytes, and a QUANTIZE that maps every byte
    to itself disappears; both are decided by computing all 256 values."""
    graph = merge_pairs(graph)
    for name in [node.outputs[0] for node in graph.nodes]:
        node = producer(graph, name)  # as it is now: bypassing one changes those that follow
        if node is not None and node.op in ("QUANTIZE", "LOOKUP") and is_identity(graph, node):
            graph = bypass(graph, node)
    return graph.pruned()


def merge_pairs(graph: Graph) -> Graph:
    for first in graph.nodes:
        second = sole_reader(graph, first.outputs[0])
        if first.op == "DEQUANTIZE" and second is not None and second.op == "QUANTIZE":
            table = pair_table(graph, first, second)
            name = f"{second.outputs[0]}:table"
            merged = Node("LOOKUP", second.name, (first.inputs[0], name), second.outputs, ops.find("LOOKUP").Attrs(), 0)
            graph = with_constant(graph, name, table)
            graph = replace(graph, nodes=tuple(merged if n is second else n for n in graph.nodes if n is not first))
    return graph


def pair_table(graph: Graph, first: Node, second: Node) -> Array:
    """What the pair makes of the bytes 0x00 to 0xFF."""
    x = graph[first.inputs[0] or ""]
    every = np.arange(256, dtype=np.uint8).view(x.dtype)
    middle = ops.find(first.op).reference(flat_call(graph, first), [every])
    return ops.find(second.op).reference(flat_call(graph, second), [middle])


def flat_call(graph: Graph, node: Node) -> ops.Call:
    """The node's call on vectors of 256 elements."""

    def vector(t: Tensor | None) -> Tensor | None:
        return None if t is None else replace(t, shape=(256,))

    call = ops.Call.of(graph, node)
    return replace(call, inputs=(vector(call.x),), outputs=(replace(call.y, shape=(256,)),))


def is_identity(graph: Graph, node: Node) -> bool:
    """Whether the node copies its input byte by byte under the same type and scale."""
    call = ops.Call.of(graph, node)
    if call.x.dtype != call.y.dtype or call.x.quant != call.y.quant or call.x.dtype.itemsize != 1:
        return False
    every = np.arange(256, dtype=np.uint8).view(call.x.dtype)
    arguments: list[Array | None] = [every] if node.op == "QUANTIZE" else [every, call.input(1).data]
    return bool((ops.find(node.op).reference(flat_call(graph, node), arguments) == every).all())
