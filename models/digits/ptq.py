"""Post-training quantization: a trained network becomes a Graph on int8.

Weights are symmetric, one scale an output channel (one for all in the fully connected layer, which is
all that older runtimes know); biases are int32 with the scale of the products; activations are
asymmetric, with the range that they take on calibration images.
"""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from layers import Layer, Network

from tinsmith.graph import Graph, Node, Quant, Tensor

INT8 = np.dtype(np.int8)
SOFTMAX_QUANT = Quant((1 / 256,), (-128,))  # the one that TFLite asks for: 0..1 on 256 steps
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}

_WINDOW = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "fused_activation_function": "RELU"}
OPTIONS: dict[str, dict[str, Any]] = {
    "CONV_2D": _WINDOW,
    "DEPTHWISE_CONV_2D": {**_WINDOW, "depth_multiplier": 1},
    "MAX_POOL_2D": {"padding": "VALID", "stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2},
    "MEAN": {"keep_dims": False},
    "FULLY_CONNECTED": {"fused_activation_function": "NONE"},
    "SOFTMAX": {"beta": 1.0},
}


@dataclass
class _Builder:
    """Tensors and nodes so far; `last` is the newest activation."""

    last: Tensor
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def constant(self, name: str, data: npt.NDArray[Any], quant: Quant | None = None) -> str:
        self.tensors[name] = Tensor(name, data.shape, data.dtype, quant, data)
        return name

    def node(self, op: str, name: str, constants: list[str], output: Tensor) -> None:
        attrs = make_dataclass("Options", OPTIONS[op], frozen=True)(**OPTIONS[op])
        self.nodes.append(Node(op, name, (self.last.name, *constants), (output.name,), attrs))
        self.tensors[output.name] = self.last = output


def quantized(network: Network, images: npt.NDArray[np.float32]) -> Graph:
    """The network with a softmax behind it, int8 in and out for one image; `images` calibrate it."""
    image = Tensor("image", (1, *images.shape[1:]), INT8, activation_quant(images))
    b = _Builder(image, {image.name: image})
    for number, (layer, y) in enumerate(zip(network.layers, network.outputs(images), strict=True)):
        name = f"{layer.op.lower()}_{number}"
        # A maximum is one of its inputs, so it keeps their scale and costs no arithmetic.
        quant = b.last.quant if layer.op == "MAX_POOL_2D" else activation_quant(y)
        b.node(layer.op, name, _constants(b, layer, name), Tensor(f"{name}_out", (1, *y.shape[1:]), INT8, quant))
    b.node("SOFTMAX", "softmax", [], Tensor("probabilities", b.last.shape, INT8, SOFTMAX_QUANT))
    return Graph("digits", b.tensors, tuple(b.nodes), ("image",), ("probabilities",), "8x8 handwritten digits")


def activation_quant(values: npt.NDArray[np.float32]) -> Quant:
    """256 steps over the values' range, widened to hold 0, which lies on a step exactly."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = float(np.float32((high - low) / 255))
    return Quant((scale,), (int(np.round(-128 - low / scale)),))


def _constants(b: _Builder, layer: Layer, name: str) -> list[str]:
    """Adds the layer's constants; returns their names in the order of the op's inputs."""
    if layer.op == "MEAN":
        return [b.constant(f"{name}_axes", np.array([1, 2], np.int32))]
    if not layer.parameters:
        return []
    weights, bias = (p.value.astype(np.float64) for p in layer.parameters)
    axis = CHANNEL_AXIS.get(layer.op)
    others = tuple(a for a in range(weights.ndim) if a != axis)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    # A channel of zeros has no scale of its own; any does.
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32).astype(np.float64)
    products = (scale * b.last.scale).astype(np.float32).ravel()
    steps = np.round(bias / products.astype(np.float64)).astype(np.int32)
    return [
        b.constant(f"{name}_weights", np.round(weights / scale).astype(np.int8), _symmetric(scale, axis or 0)),
        b.constant(f"{name}_bias", steps, _symmetric(products, 0)),
    ]


def _symmetric(scale: npt.NDArray[np.floating], axis: int) -> Quant:
    return Quant(tuple(float(s) for s in scale.ravel()), (0,) * scale.size, axis)
