"""Small steps of which passes are made."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Array, Graph, Node, Tensor


def sole_reader(graph: Graph, name: str) -> Node | None:
    """The node that alone reads a tensor which is no output of the model, or None."""
    readers = graph.consumers.get(name, ())
    return graph.nodes[readers[0]] if len(readers) == 1 and name not in graph.outputs else None


def producer(graph: Graph, name: str | None) -> Node | None:
    """The node that writes a tensor, or None for inputs and constants."""
    index = graph.producers.get(name or "")
    return None if index is None else graph.nodes[index]


def replaced(graph: Graph, old: Node, new: Node) -> Graph:
    return replace(graph, nodes=tuple(new if n is old else n for n in graph.nodes))


def removed(graph: Graph, node: Node) -> Graph:
    return replace(graph, nodes=tuple(n for n in graph.nodes if n is not node))


def with_constant(graph: Graph, name: str, data: Array, like: Tensor | None = None) -> Graph:
    """The graph with one more constant, quantized like another tensor if one is given."""
    tensor = Tensor(name, data.shape, data.dtype, like.quant if like else None, data)
    return replace(graph, tensors={**graph.tensors, name: tensor})


def bypass(graph: Graph, node: Node) -> Graph:
    """Lets readers of a node's output read its first input instead. Outputs of the model keep their
    name and place: there the node stays."""
    source, out = node.inputs[0], node.outputs[0]
    if out in graph.outputs or not any(n is node for n in graph.nodes):
        return graph
    nodes = tuple(
        replace(n, inputs=tuple(source if i == out else i for i in n.inputs)) for n in graph.nodes if n is not node
    )
    return replace(graph, nodes=nodes)
