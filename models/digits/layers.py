"""Layers that learn, in numpy: forward, backward and Adam.

Images are float32 [batch, height, width, channels] and weights lie as in .tflite files, so a trained
layer is exported without moving its numbers. A layer keeps what its backward pass needs from the last
forward pass. Each layer stands for one op of the exported model, with its activation fused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Parameter:
    """Numbers that are learned, with their gradient and Adam's two moments."""

    def __init__(self, value: npt.NDArray[np.floating]) -> None:
        self.value: Array = value.astype(np.float32)
        self.grad: Array = np.zeros_like(self.value)
        self.mean: Array = np.zeros_like(self.value)
        self.square: Array = np.zeros_like(self.value)


class Layer:
    """One op. `parameters` is empty, or the weights and the bias."""

    op = ""
    parameters: Sequence[Parameter] = ()

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """The gradient at the input; adds nothing up, so one call follows one forward pass."""
        raise NotImplementedError


class _Weighted(Layer):
    """Weights, a bias and perhaps a ReLU."""

    def __init__(self, shape: tuple[int, ...], outputs: int, fan_in: int, rng: np.random.Generator, relu: bool) -> None:
        self.weights = Parameter(rng.normal(0, np.sqrt(2 / fan_in), shape))  # He et al. 2015
        self.bias = Parameter(np.zeros(outputs))
        self.parameters = (self.weights, self.bias)
        self.relu = relu

    def activate(self, y: Array) -> Array:
        y += self.bias.value
        if self.relu:
            np.maximum(y, 0, out=y)
            self._alive = y > 0
        return y

    def deactivate(self, dy: Array) -> Array:
        """The gradient before activation and bias; notes the bias's own."""
        dy = dy * self._alive if self.relu else dy
        self.bias.grad = dy.reshape(-1, dy.shape[-1]).sum(axis=0)
        return dy


class Conv(_Weighted):
    """A convolution with stride 1 and SAME padding; weights [out, size, size, in]."""

    op = "CONV_2D"

    def __init__(self, inputs: int, outputs: int, size: int, rng: np.random.Generator) -> None:
        super().__init__((outputs, size, size, inputs), outputs, size * size * inputs, rng, relu=True)

    def forward(self, x: Array) -> Array:
        size = self.weights.value.shape[1]
        self._columns = windows(x, size).reshape(*x.shape[:3], -1)
        return self.activate(self._columns @ self._matrix())

    def backward(self, dy: Array) -> Array:
        dy = self.deactivate(dy)
        outputs, size, _, inputs = self.weights.value.shape
        flat = self._columns.reshape(-1, self._columns.shape[-1])
        self.weights.grad = (dy.reshape(-1, outputs).T @ flat).reshape(self.weights.value.shape)
        return unwindows((dy @ self._matrix().T).reshape(*dy.shape[:3], size, size, inputs))

    def _matrix(self) -> Array:
        return self.weights.value.reshape(len(self.weights.value), -1).T


class DepthwiseConv(_Weighted):
    """A convolution of each channel on its own, stride 1, SAME padding; weights [1, size, size, channels]."""

    op = "DEPTHWISE_CONV_2D"

    def __init__(self, channels: int, size: int, rng: np.random.Generator) -> None:
        super().__init__((1, size, size, channels), channels, size * size, rng, relu=True)

    def forward(self, x: Array) -> Array:
        self._windows = windows(x, self.weights.value.shape[1])
        return self.activate(np.einsum("nhwijc,ijc->nhwc", self._windows, self.weights.value[0]))

    def backward(self, dy: Array) -> Array:
        dy = self.deactivate(dy)
        self.weights.grad = np.einsum("nhwijc,nhwc->ijc", self._windows, dy)[np.newaxis]
        return unwindows(dy[:, :, :, np.newaxis, np.newaxis] * self.weights.value[0])


class Dense(_Weighted):
    """A fully connected layer without activation; weights [out, in]."""

    op = "FULLY_CONNECTED"

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator) -> None:
        super().__init__((outputs, inputs), outputs, inputs, rng, relu=False)

    def forward(self, x: Array) -> Array:
        self._x = x
        return self.activate(x @ self.weights.value.T)

    def backward(self, dy: Array) -> Array:
        dy = self.deactivate(dy)
        self.weights.grad = dy.T @ self._x
        return dy @ self.weights.value


class MaxPool(Layer):
    """The maximum of each 2x2 block; height and width must be even."""

    op = "MAX_POOL_2D"

    def forward(self, x: Array) -> Array:
        n, h, w, c = x.shape
        blocks = x.reshape(n, h // 2, 2, w // 2, 2, c)
        y: Array = blocks.max(axis=(2, 4))
        # All of a tie win: ties are zeros of a ReLU, which lets no gradient through anyway.
        self._winners = blocks == y[:, :, np.newaxis, :, np.newaxis]
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self._winners * dy[:, :, np.newaxis, :, np.newaxis]
        n, h, _, w, _, c = dx.shape
        return dx.reshape(n, h * 2, w * 2, c)


class Mean(Layer):
    """The mean over height and width: [n, h, w, c] -> [n, c]."""

    op = "MEAN"

    def forward(self, x: Array) -> Array:
        self._shape = x.shape
        y: Array = x.mean(axis=(1, 2))
        return y

    def backward(self, dy: Array) -> Array:
        _, h, w, _ = self._shape
        return np.broadcast_to(dy[:, np.newaxis, np.newaxis] / np.float32(h * w), self._shape)


def windows(x: Array, size: int) -> Array:
    """The size x size surroundings of each pixel, zeros beyond the border: [n, h, w, size, size, c]."""
    edge = size // 2
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    return np.ascontiguousarray(view.transpose(0, 1, 2, 4, 5, 3))


def unwindows(dy: Array) -> Array:
    """The transpose of `windows`: adds every window's numbers to the pixels that they came from."""
    n, h, w, size, _, c = dy.shape
    edge = size // 2
    dx = np.zeros((n, h + 2 * edge, w + 2 * edge, c), np.float32)
    for i in range(size):
        for j in range(size):
            dx[:, i : i + h, j : j + w] += dy[:, :, :, i, j]
    return dx[:, edge : edge + h, edge : edge + w]


def cross_entropy_gradient(logits: Array, labels: npt.NDArray[np.int64], smoothing: float) -> Array:
    """Gradient of the mean cross entropy after a softmax, with label smoothing; [n, classes]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted = np.full_like(logits, smoothing / logits.shape[1])
    wanted[np.arange(len(labels)), labels] += 1 - smoothing
    gradient: Array = (powers / powers.sum(axis=1, keepdims=True) - wanted) / np.float32(len(labels))
    return gradient


@dataclass
class Network:
    """Layers one after the other; the last one gives logits."""

    layers: Sequence[Layer]
    steps: int = field(default=0, init=False)

    def outputs(self, x: Array) -> Iterator[Array]:
        """The output of every layer in turn."""
        for layer in self.layers:
            x = layer.forward(x)
            yield x

    def logits(self, x: Array) -> Array:
        *_, last = self.outputs(x)
        return last

    def learn(self, x: Array, labels: npt.NDArray[np.int64], rate: float, decay: float, smoothing: float) -> None:
        """One step of Adam with decoupled weight decay (Loshchilov and Hutter 2019) on one batch."""
        gradient = cross_entropy_gradient(self.logits(x), labels, smoothing)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        self.steps += 1
        for p in (p for layer in self.layers for p in layer.parameters):
            p.mean += 0.1 * (p.grad - p.mean)
            p.square += 0.001 * (p.grad**2 - p.square)
            step = p.mean / (1 - 0.9**self.steps) / (np.sqrt(p.square / (1 - 0.999**self.steps)) + 1e-8)
            p.value -= (rate * (step + decay * p.value)).astype(np.float32)
