"""CONCATENATION along any dimension, int8."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import quantized, random_shape, single
from ._interval import Interval
from ._quantized import FusedActivation
from .base import Call, rule
from .params import I32, I32s, note
from .tensors import Shape


class Concatenation(FusedActivation):
    """Copies inputs side by side. Bytes are copied as they are, whatever the scales say, as
    TensorFlow Lite Micro does."""

    name = "CONCATENATION"
    onnx = ("Concat",)
    max_version = 5
    runtime_arity = None
    arity = (1, 65535)

    @dataclass(frozen=True)
    class Attrs:
        axis: int = 0
        fused_activation_function: str = "NONE"

    @dataclass(frozen=True)
    class Params:
        chunks: I32s = note("[inputs] bytes that each input gives to a group")
        inputs: I32 = note("number of inputs")
        groups: I32 = note("runs of all inputs in a row")

    @rule
    def activation_is_a_clamp(self, call: Call) -> str | None:
        """Concatenation must have no fused activation."""
        name = call.attrs.fused_activation_function
        return None if name == "NONE" else str(name)

    @rule
    def axis_exists(self, call: Call) -> str | None:
        """The axis must be one of the output's dimensions."""
        rank = len(call.x.shape)
        return None if -rank <= call.attrs.axis < rank else f"axis {call.attrs.axis} of {rank}"

    @rule
    def inputs_fit(self, call: Call) -> str | None:
        """Inputs must have the same shape but for the axis, and at most four dimensions."""
        shapes = [t.shape for t in call.inputs if t is not None]
        axis = call.attrs.axis % len(shapes[0])
        rest = {s[:axis] + s[axis + 1 :] for s in shapes}
        same = len(rest) == 1 and len({len(s) for s in shapes}) == 1 and len(shapes[0]) <= 4
        return None if same else " and ".join(str(list(s)) for s in shapes)

    def runtime_inputs(self, call: Call) -> tuple[int, ...]:
        return tuple(range(len(call.inputs)))

    def output_shape(self, call: Call) -> Shape:
        shape = list(call.x.shape)
        shape[call.attrs.axis] = sum(t.shape[call.attrs.axis] for t in call.inputs if t is not None)
        return tuple(shape)

    def groups(self, call: Call) -> int:
        """Runs of all inputs, one behind the other, in the whole output."""
        return math.prod(call.y.shape[: call.attrs.axis % len(call.y.shape)])

    def rows(self, call: Call, tensor: Tensor) -> tuple[int, int]:
        # Along the height (or batch) there is but one run: the whole tensor is one row.
        count = super().rows(call, call.y)[0]
        count = count if self.groups(call) % count == 0 else 1
        return count, tensor.nbytes // count

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        known = [x for x in inputs if x is not None]
        if len(known) < len(inputs):
            return Interval.whole(call.y)
        if self.along_channels(call):
            return Interval(np.concatenate([x.low for x in known]), np.concatenate([x.high for x in known]))
        return functools.reduce(Interval.union, known)

    def channel_sources(self, call: Call, index: int) -> Array | None:
        own = call.input(index).shape[-1]
        if not self.along_channels(call):
            return np.arange(own)
        sources: Array = np.full(call.y.shape[-1], -1)
        start = sum(call.input(i).shape[-1] for i in range(index))
        sources[start : start + own] = np.arange(own)
        return sources

    def along_channels(self, call: Call) -> bool:
        return bool(call.attrs.axis % len(call.y.shape) == len(call.y.shape) - 1)

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        return np.concatenate([x for x in inputs if x is not None], axis=call.attrs.axis)

    def params(self, call: Call) -> Params:
        chunks = [t.nbytes // self.groups(call) for t in call.inputs if t is not None]
        groups = self.groups(call) // self.rows(call, call.y)[0]
        return self.Params(np.array(chunks, np.int32), len(chunks), groups)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            rank = int(rng.integers(1, 5))
            shape, axis = list(random_shape(rng, rank, 5)), int(rng.integers(-rank, rank))
            first = quantized(rng, "x0", tuple(shape))
            inputs: list[Tensor] = []
            for i in range(int(rng.integers(1, 11))):
                shape[axis] = int(rng.integers(1, 5))
                x = replace(first, name=f"x{i}", shape=tuple(shape))
                data = rng.integers(-128, 128, x.shape).astype(np.int8) if i and rng.random() < 0.2 else None
                inputs.append(inputs[0] if i and rng.random() < 0.1 else replace(x, data=data))
            graph = single(self, self.Attrs(axis=axis), inputs, replace(first, name="y"))
            if graph is not None:
                yield graph
