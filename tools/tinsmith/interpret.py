"""Runs a graph in numpy: the third witness beside TensorFlow Lite Micro and the C core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import ops
from .graph import Array, Graph


def interpret(graph: Graph, inputs: Sequence[Array]) -> Mapping[str, Array]:
    """Every tensor's value by name, given the model's inputs in order (shapes and dtypes as declared)."""
    values: dict[str, Array] = {t.name: t.data for t in graph.tensors.values() if t.data is not None}
    for name, value in zip(graph.inputs, inputs, strict=True):
        tensor = graph[name]
        if value.shape != tensor.shape or value.dtype != tensor.dtype:
            raise ValueError(
                f"input {name!r} is {value.dtype}{list(value.shape)}, not {tensor.dtype}{list(tensor.shape)}"
            )
        values[name] = value
    for node in graph.nodes:
        call = ops.Call.of(graph, node)
        arguments = [None if n is None else values[n] for n in node.inputs]
        values[node.outputs[0]] = ops.find(node.op).reference(call, arguments)
    return values
