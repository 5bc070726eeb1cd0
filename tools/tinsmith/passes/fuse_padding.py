"""Lets convolutions pad by themselves."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

from .. import ops
from ..graph import Graph, Node
from ..ops._conv import Convolution
from ..ops.pad import Pad
from ._rewrite import producer, removed, replaced, sole_reader


def fuse_padding(graph: Graph) -> Graph:
    """PAD in front of an unpadded convolution becomes the convolution's own padding: both read the
    input's zero point there. Channels must not be padded."""
    for node in graph.nodes:
        op = ops.find(node.op)
        pad = producer(graph, node.inputs[0])
        if isinstance(op, Convolution) and pad is not None and can_fuse(graph, pad, node):
            rows, columns = borders(graph, pad)[1:3]
            attrs = replace(node.attrs, pads=(rows, columns))
            fused = dataclasses.replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), attrs=attrs)
            graph = removed(replaced(graph, node, fused), pad)
    return graph.pruned()


def borders(graph: Graph, pad: Node) -> list[tuple[int, int]]:
    op = ops.find("PAD")
    assert isinstance(op, Pad)
    return op.borders(ops.Call.of(graph, pad))


def can_fuse(graph: Graph, pad: Node, conv: Node) -> bool:
    if pad.op != "PAD" or sole_reader(graph, pad.outputs[0]) is not conv:
        return False
    a, x = conv.attrs, graph[pad.inputs[0] or ""]
    unpadded = a.padding == "VALID" and a.pads is None
    same = len(x.shape) == 4 and x.quant == graph[pad.outputs[0]].quant
    return unpadded and same and borders(graph, pad)[3] == (0, 0)
