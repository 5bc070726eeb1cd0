"""Lets ops clamp by themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import ops
from ..graph import Array, Graph, Node
from ..ops._quantized import FusedActivation
from ..ops._table import Tabulated
from ._rewrite import producer, removed, replaced, sole_reader


def fuse_activation(graph: Graph) -> Graph:
    """A RELU or RELU6 that only clamps, right behind an op that can clamp, becomes that op's limits."""
    for node in graph.nodes:
        before = producer(graph, node.inputs[0])
        limits = clamp_of(graph, node)
        if before is None or limits is None or sole_reader(graph, before.outputs[0]) is not node:
            continue
        if isinstance(ops.find(before.op), FusedActivation) and hasattr(before.attrs, "clamp"):
            old = before.attrs.clamp or (-128, 127)
            clamp = (max(old[0], limits[0]), min(old[1], limits[1]))
            fused = replace(before, outputs=node.outputs, attrs=replace(before.attrs, clamp=clamp))
            graph = removed(replaced(graph, before, fused), node)
    return graph.pruned()


def clamp_of(graph: Graph, node: Node) -> tuple[int, int] | None:
    """(low, high) if the node maps every byte x to min(max(x, low), high) under one scale, else None."""
    op = ops.find(node.op)
    call = ops.Call.of(graph, node)
    if not isinstance(op, Tabulated) or call.x.quant != call.y.quant or call.x.dtype != call.y.dtype:
        return None
    if call.x.dtype != np.int8:
        return None
    every: Array = np.arange(-128, 128)
    results: Array = np.roll(op.results(call).astype(np.int64), 128)  # from byte order to value order
    low, high = int(results.min()), int(results.max())
    return (low, high) if (results == np.clip(every, low, high)).all() else None
