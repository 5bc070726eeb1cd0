"""Which ways through a graph are tried."""

from __future__ import annotations

from collections.abc import Mapping

from ..graph import Graph
from ..ops import Op
from . import Plan
from .place import place, sizes_of
from .schedule import Flow
from .tasks import find_roots, forms


def search(graph: Graph, kernels: Mapping[str, Op], stream: bool, fed: bool) -> Plan:
    roots = find_roots(graph)
    pairs = forms(graph, roots, kernels)
    counts = {name: rows for name, (rows, _) in sizes_of(graph, roots).items()}
    if not stream:
        flow = Flow([layer for layer, _ in pairs], counts, frozenset(counts), (), {})
        return place(graph, roots, kernels, flow)
    flow = Flow([t for _, t in pairs], counts, frozenset(graph.inputs), (), {})
    return place(graph, roots, kernels, flow)
