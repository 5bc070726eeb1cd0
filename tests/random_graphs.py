"""Random models of many nodes: chains, residuals, concatenations, views, several inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from tinsmith import ops
from tinsmith.errors import Unsupported
from tinsmith.graph import Array, Graph, Node, Quant, Tensor
from tinsmith.ops import Call
from tinsmith.plan import plan

QUANT = Quant((float(np.float32(0.05)),), (3,))


class Builder:
    """Adds nodes to a graph one after the other; every activation is int8 of one scale."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []

    def input(self, *shape: int) -> str:
        name = f"x{len(self.inputs)}"
        self.tensors[name] = Tensor(name, shape, np.dtype(np.int8), QUANT)
        self.inputs.append(name)
        return name

    def constant(self, data: Array, quant: Quant | None = None) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors[name] = Tensor(name, data.shape, data.dtype, quant, data)
        return name

    def add(self, op: str, attrs: Any, inputs: Sequence[str], **output: Any) -> str:
        """A node, and the name of its output: like the first input but for its shape and what `output` says."""
        name, found = f"t{len(self.tensors)}", ops.find(op)
        like = replace(self.tensors[inputs[0]], name=name, data=None, **output)
        node = Node(op, f"{op.lower()}{len(self.nodes)}", tuple(inputs), (name,), attrs)
        call = Call(node, tuple(self.tensors[n] for n in inputs), (like,))
        assert found.broken_rule(call) is None, found.broken_rule(call)
        self.tensors[name] = replace(like, shape=found.output_shape(call))
        self.nodes.append(node)
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def attrs(self, op: str, **values: Any) -> Any:
        kind = ops.find(op).Attrs
        return kind(**values) if kind else None

    def conv(self, x: str, out_c: int, kernel: int, **geometry: Any) -> str:
        w: Array = self.rng.integers(-127, 128, (out_c, kernel, kernel, self.shape(x)[3])).astype(np.int8)
        names = [x, self.constant(w, Quant((float(np.float32(0.01)),), (0,)))]
        return self.add("CONV_2D", self.attrs("CONV_2D", **geometry), names)

    def depthwise(self, x: str, kernel: int, **geometry: Any) -> str:
        w: Array = self.rng.integers(-127, 128, (1, kernel, kernel, self.shape(x)[3])).astype(np.int8)
        names = [x, self.constant(w, Quant((float(np.float32(0.02)),), (0,)))]
        return self.add("DEPTHWISE_CONV_2D", self.attrs("DEPTHWISE_CONV_2D", **geometry), names)

    def fully_connected(self, x: str, units: int) -> str:
        w: Array = self.rng.integers(-127, 128, (units, self.tensors[x].size)).astype(np.int8)
        names = [x, self.constant(w, Quant((float(np.float32(0.01)),), (0,)))]
        return self.add("FULLY_CONNECTED", self.attrs("FULLY_CONNECTED"), names)

    def pad(self, x: str, borders: Sequence[tuple[int, int]], **output: Any) -> str:
        return self.add("PAD", self.attrs("PAD"), [x, self.constant(np.array(borders, np.int32))], **output)

    def simple(self, op: str, *inputs: str, **attrs: Any) -> str:
        return self.add(op, self.attrs(op, **attrs), inputs)

    def reshape(self, x: str, *shape: int) -> str:
        return self.add("RESHAPE", self.attrs("RESHAPE", new_shape=shape), [x], shape=shape)

    def graph(self, *outputs: str) -> Graph:
        return Graph("random", self.tensors, tuple(self.nodes), tuple(self.inputs), outputs)


def random_graph(rng: Generator, steps: int) -> Graph:
    """A model of about `steps` nodes, of which anything alive may be read again."""
    b = Builder(rng)
    alive = [b.input(1, *(int(d) for d in rng.integers(2, 7, 3))) for _ in range(int(rng.integers(1, 3)))]
    for _ in range(steps):
        alive.append(random_step(b, alive))
    unread = [n for n in alive if all(n not in node.inputs for node in b.nodes) and n not in b.inputs]
    also = [n for n in alive if n not in unread and n not in b.inputs and rng.random() < 0.1]
    return b.graph(*dict.fromkeys([*unread, *also])).pruned()


def random_step(b: Builder, alive: Sequence[str]) -> str:
    """Appends one random node (or two) that reads recent tensors more often than old ones."""
    rng = b.rng
    x = alive[-1 - min(int(rng.geometric(0.6)) - 1, len(alive) - 1)]
    same = [n for n in alive if b.shape(n) == b.shape(x)]
    beside = [n for n in alive if b.shape(n)[:3] == b.shape(x)[:3]]
    kind = rng.choice(["conv", "depthwise", "add", "concatenation", "pool", "relu", "view", "pad"])
    if kind == "conv":
        padding = "VALID" if min(b.shape(x)[1:3]) >= 3 and rng.random() < 0.5 else "SAME"
        geometry = {"padding": padding, "stride_h": int(rng.integers(1, 3))}
        return b.conv(x, int(rng.integers(1, 8)), int(rng.choice([1, 3])), **geometry)
    if kind == "depthwise":
        return b.depthwise(x, int(rng.choice([1, 3, 5])), stride_w=int(rng.integers(1, 3)))
    if kind == "add":
        return b.simple("ADD", x, str(rng.choice(same)))
    if kind == "concatenation":
        return b.simple("CONCATENATION", x, *(str(n) for n in rng.choice(beside, 2)), axis=3)
    if kind == "pool":
        return b.simple("MAX_POOL_2D", x, filter_width=2, filter_height=3, stride_h=int(rng.integers(1, 3)))
    if kind == "relu":
        return b.simple("RELU", x)
    if kind == "view":
        _, h, w, c = b.shape(x)
        return b.reshape(x, 1, w, h, c)
    padded = b.pad(x, [(0, 0), (1, 1), (0, 2), (0, int(rng.integers(0, 2)))])
    fits = min(b.shape(padded)[1:3]) >= 3 and rng.random() < 0.5
    return b.conv(padded, 3, 3, padding="VALID") if fits else padded


def takes_rows(graph: Graph) -> bool:
    """Whether a model's input can come row by row."""
    try:
        plan(graph, fed=True)
    except Unsupported:
        return False
    return True
