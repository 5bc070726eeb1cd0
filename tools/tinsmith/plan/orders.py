"""In which order the branches of a graph are computed."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph

MOST_NODES = 100  # of graphs that are tried in several orders


def orders(graph: Graph) -> list[Graph]:
    """The graph as it is; then as demand from its outputs finds its nodes, with the first branch of each node first,
    and with the last one first. Each order stands there once: a chain has one."""
    if len(graph.nodes) > MOST_NODES:
        return [graph]
    found: dict[object, Graph] = {}
    for each in (graph, demanded(graph, last_first=False), demanded(graph, last_first=True)):
        found.setdefault(tuple(node.outputs for node in each.nodes), each)
    return list(found.values())


def demanded(graph: Graph, last_first: bool) -> Graph:
    """The graph with its nodes in the order in which its outputs demand them, depth first; what no output needs comes
    last."""
    step = 1 if last_first else -1  # what is pushed last is computed first
    order: dict[int, None] = {}
    for name in (*graph.outputs, *graph.producers):
        waiting: list[tuple[int | None, bool]] = [(graph.producers.get(name), False)]
        while waiting:
            index, ready = waiting.pop()
            if index is None or index in order:
                continue
            if ready:
                order[index] = None
                continue
            waiting.append((index, True))
            sources = [n for n in graph.nodes[index].inputs if n is not None]
            waiting += [(graph.producers.get(source), False) for source in sources[::step]]
    return replace(graph, nodes=tuple(graph.nodes[index] for index in order))
