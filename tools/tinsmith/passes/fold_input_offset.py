"""Moves the input's zero point out of inner loops."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

from .. import ops
from ..graph import Graph
from ..ops._weighted import Weighted, folded_bias
from ._rewrite import replaced, with_constant


def fold_input_offset(graph: Graph) -> Graph:
    """sum(w * (x - zx)) + b = sum(w * x) + (b - zx * sum(w)), exactly, also where int32 wraps: the
    kernels need no offset. Padding then holds zx instead of contributing nothing."""
    for node in graph.nodes:
        op = ops.find(node.op)
        if isinstance(op, Weighted) and not node.attrs.offset_folded:
            call = ops.Call.of(graph, node)
            name = f"{node.outputs[0]}:bias"
            graph = with_constant(graph, name, folded_bias(op, call), call.optional(2))
            attrs = replace(op.biased_attrs(call), offset_folded=True)
            graph = replaced(graph, node, dataclasses.replace(node, inputs=(*node.inputs[:2], name), attrs=attrs))
    return graph.pruned()
