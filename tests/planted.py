"""Random networks in which channels that never vary, or that nobody reads, are planted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from tinsmith import ops
from tinsmith.graph import Array, Graph, Node, Quant, Tensor
from tinsmith.ops import Call
from tinsmith.ops._examples import quantized

I8 = np.dtype(np.int8)


class Network:
    """A graph under construction; every method adds a node and returns the name of its output.

    A `plain` one has no activations unless they are asked for, and zero points of 0: nothing saturates by chance.
    """

    def __init__(self, rng: Generator, plain: bool = False) -> None:
        self.rng, self.plain = rng, plain
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def add(self, t: Tensor) -> str:
        self.tensors[t.name] = t
        return t.name

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def input(self, *shape: int) -> str:
        self.inputs.append(self.add(quantized(self.rng, f"x{len(self.inputs)}", shape, scale=0.05)))
        return self.inputs[-1]

    def constant(self, data: Array, quant: Quant | None = None) -> str:
        return self.add(Tensor(f"c{len(self.tensors)}", data.shape, data.dtype, quant, data))

    def node(self, op: str, inputs: list[str], y: Tensor, **attrs: Any) -> str:
        """A node whose output is like `y`, in the op's own shape."""
        kind = ops.find(op)
        y = replace(y, name=f"t{len(self.nodes)}", data=None)
        made = Node(
            op, y.name, tuple(inputs), (y.name,), kind.Attrs(**attrs) if kind.Attrs else None, 1 - kind.internal
        )
        call = Call(made, tuple(self.tensors[n] for n in inputs), (y,))
        broken = kind.broken_rule(call)
        assert broken is None, f"{op}: {broken}"
        self.nodes.append(made)
        return self.add(replace(y, shape=kind.output_shape(call)))

    def graph(self, *outputs: str) -> Graph:
        return Graph("planted", self.tensors, tuple(self.nodes), tuple(self.inputs), outputs)

    # -- weights -----------------------------------------------------------------------------------

    def weighted(
        self, op: str, x: str, weights: Array, axis: int = 0, bias: Array | None = None, zero: int | None = None,
        per_channel: bool | None = None, quant: Quant | None = None, **attrs: Any,
    ) -> str:  # fmt: skip
        """Convolution or fully connected layer, scaled so that its outputs use the range of int8."""
        count, per_channel = weights.shape[axis], self.chance(0.6) if per_channel is None else per_channel
        scales = self.rng.uniform(0.01, 0.03, count if per_channel else 1).astype(np.float32)
        inputs = [x, self.constant(weights, Quant(tuple(map(float, scales)), (0,) * len(scales), axis))]
        if bias is not None:
            products = np.float32(self[x].scale) * scales
            inputs.append(
                self.constant(bias.astype(np.int32), Quant(tuple(map(float, products)), (0,) * len(scales), 0))
            )
        taps = weights.size // count
        scale = float(np.float32(self[x].scale * float(scales.mean()) * np.sqrt(taps) * 60))
        y = quantized(self.rng, "y", (1,), scale=scale)
        if zero is not None or self.plain:
            y = replace(y, quant=Quant((scale,), (zero or 0,)))
        y = replace(y, quant=quant or y.quant)
        kinds = ["NONE"] if self.plain else ["NONE", "RELU", "RELU", "RELU6"]
        attrs.setdefault("fused_activation_function", str(self.rng.choice(kinds)))
        return self.node(op, inputs, y, **attrs)

    def plant(self, shape: tuple[int, ...], out: int, into: int | None) -> tuple[Array, Array | None]:
        """Random weights [shape] and a bias; along `out` some are zero or saturate, along `into` some are zero."""
        rng = self.rng
        weights: Array = rng.integers(-127, 128, shape).astype(np.int8)
        rows = np.moveaxis(weights, out, 0)
        rows[rng.random(len(rows)) < 0.3] = 0
        if into is not None:
            np.moveaxis(weights, into, 0)[rng.random(shape[into]) < 0.2] = 0
        bias: Array = rng.integers(-9000, 9001, len(rows))
        loud = rng.random(len(rows)) < 0.2
        bias[loud] = rng.choice([-(2**26), 2**26], int(loud.sum()))
        return weights, None if self.chance(0.2) else bias

    def geometry(self) -> dict[str, Any]:
        return {
            "padding": str(self.rng.choice(["SAME", "SAME", "VALID"])), "stride_h": int(self.rng.integers(1, 3)),
            "stride_w": int(self.rng.integers(1, 3)),
        }  # fmt: skip

    def conv(self, x: str, out_c: int, **attrs: Any) -> str:
        side = int(self.rng.choice([1, 1, 2, 3]))
        side = 1 if min(self[x].shape[1:3]) < side else side
        weights, bias = self.plant((out_c, side, side, self[x].shape[3]), 0, 3)
        return self.weighted("CONV_2D", x, weights, 0, bias, **(attrs or self.geometry()))

    def depthwise(self, x: str) -> str:
        side, multiplier = int(self.rng.choice([1, 2, 3])), int(self.rng.choice([1, 1, 2]))
        side = 1 if min(self[x].shape[1:3]) < side else side
        weights, bias = self.plant((1, side, side, self[x].shape[3] * multiplier), 3, None)
        return self.weighted("DEPTHWISE_CONV_2D", x, weights, 3, bias, depth_multiplier=multiplier, **self.geometry())

    def dense(self, x: str, units: int) -> str:
        channels = self[x].shape[-1]
        weights, bias = self.plant((units, self[x].size // channels, channels), 0, 2)
        return self.weighted("FULLY_CONNECTED", x, weights.reshape(units, -1), 0, bias)

    # -- the rest ----------------------------------------------------------------------------------

    def residual(self, x: str) -> str:
        """x + convolution of x, or + a constant, in random order."""
        if self.chance(0.3):
            other = self.constant(self.rng.integers(-128, 128, self[x].shape[-1:]).astype(np.int8), self[x].quant)
        else:
            other = self.conv(x, self[x].shape[3], padding="SAME")
        y = quantized(self.rng, "y", (1,), scale=2 * max(self[x].scale, self[other].scale))
        return self.node("ADD", [x, other] if self.chance(0.5) else [other, x], y)

    def concatenation(self, x: str) -> str:
        rng = self.rng
        parts = [self.conv(x, int(rng.integers(1, 6)), padding="SAME")]
        quant = self[parts[0]].quant  # one for all, or the judge refuses
        parts.append(self.conv(x, int(rng.integers(1, 6)), padding="SAME", quant=quant))
        if self.chance(0.3):
            parts.append(parts[0])
        if self.chance(0.4):
            parts.append(self.constant(rng.integers(-128, 128, (*self[x].shape[:3], 3)).astype(np.int8), quant))
        return self.node("CONCATENATION", parts, self[parts[0]], axis=int(rng.choice([3, -1])))

    def pad(self, x: str) -> str:
        around = self.rng.integers(0, 2, (4, 2)).astype(np.int32)
        around[0] = 0
        around[3] *= self.chance(0.3)
        return self.node("PAD", [x, self.constant(around)], self[x])

    def pool(self, x: str) -> str:
        op = str(self.rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
        return self.node(op, [x], self[x], filter_width=2, filter_height=2, **{**self.geometry(), "padding": "SAME"})

    def relu(self, x: str) -> str:
        return self.node("RELU", [x], quantized(self.rng, "y", self[x].shape, scale=self[x].scale))

    def mean(self, x: str) -> str:
        return self.node("MEAN", [x, self.constant(np.array([1, 2], np.int32))], self[x], keep_dims=self.chance(0.5))

    def reshape(self, x: str) -> str:
        y = self.node("RESHAPE", [x], replace(self[x], shape=(1, self[x].size)), new_shape=(1, self[x].size))
        return y

    def layer(self, x: str) -> str:
        rng = self.rng
        kinds = [self.depthwise, self.residual, self.concatenation, self.pad, self.pool, self.relu]
        if self.chance(0.4):
            return self.conv(x, int(rng.integers(1, 9)))
        return kinds[int(rng.integers(0, len(kinds)))](x)


def network(seed: int) -> Graph:
    """A random network with planted channels; at times it has two outputs, or an image as its output."""
    rng = np.random.default_rng(seed)
    net = Network(rng)
    x = net.input(1, int(rng.integers(1, 7)), int(rng.integers(1, 7)), int(rng.integers(1, 5)))
    outputs: list[str] = []
    x = net.conv(x, int(rng.integers(4, 12)))
    for _ in range(int(rng.integers(1, 5))):
        x = net.layer(x)
        if net.chance(0.1):
            outputs.append(x)
    if net.chance(0.8):
        x = net.mean(x) if net.chance(0.5) else net.reshape(x) if net.chance(0.5) else x
        for _ in range(int(rng.integers(1, 3))):
            x = net.dense(x, int(rng.integers(1, 9)))
    return net.graph(*dict.fromkeys([*outputs, x])).pruned()
