"""Graphs of one or two nodes, for tests of what happens to files of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinsmith import ops
from tinsmith.graph import Graph, Node, Quant, Tensor

SCALE = float(np.float32(0.1))


def tensor(name: str, *shape: int, dtype: Any = np.int8, scales: int = 1, data: Any = None, axis: int = 0) -> Tensor:
    quant = Quant((SCALE,) * scales, (0,) * scales, axis) if scales else None
    return Tensor(name, shape, np.dtype(dtype), quant, None if data is None else np.asarray(data, dtype).reshape(shape))


def node(op: str, inputs: str, output: str, version: int = 1, **attrs: Any) -> Node:
    cls = ops.find(op).Attrs if op in ops.table() else None
    return Node(op, output, tuple(inputs.split()), (output,), cls(**attrs) if cls else None, version)


def graph(tensors: list[Tensor], *nodes: Node, inputs: str = "x", outputs: str = "y") -> Graph:
    return Graph("main", {t.name: t for t in tensors}, nodes, tuple(inputs.split()), tuple(outputs.split()))


def relu(dtype: Any = np.int8) -> Graph:
    scales = int(np.dtype(dtype).kind != "f")
    return graph([tensor("x", 2, 3, dtype=dtype, scales=scales), tensor("y", 2, 3, dtype=dtype, scales=scales)],
                 node("RELU", "x", "y"))  # fmt: skip


def dense(scales: int = 1) -> Graph:
    """FULLY_CONNECTED with weights of one scale or of three."""
    weights = tensor("w", 3, 5, scales=scales, data=np.arange(15))
    bias = tensor("b", 3, dtype=np.int32, scales=0, data=[10, -20, 30])
    return graph([tensor("x", 1, 5), weights, bias, tensor("y", 1, 3)], node("FULLY_CONNECTED", "x w b", "y"))


def reshape(attrs: bool) -> Graph:
    plain = node("RESHAPE", "x", "y", new_shape=(6, 2))
    tensors = [tensor("x", 1, 3, 4), tensor("y", 6, 2)]
    return graph(tensors, plain if attrs else replace(plain, attrs=None))
