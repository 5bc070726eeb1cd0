"""The intermediate representation: frozen dataclasses that every arrow of the pipeline passes on.

A pass never changes a graph in place; it builds a new one with `dataclasses.replace`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Quant:
    """Affine quantization: real = scale * (quantized - zero_point).

    `scale` holds float32 values as Python floats (exact); one entry per tensor, or one per index of
    dimension `axis`.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    @property
    def per_tensor(self) -> bool:
        return len(self.scale) == 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named value. `data` is set for constants.

    `source` is the tensor's index in the model file, and `kept` the channels of that tensor (indices of its last
    dimension) which this one still has; None: all.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quant: Quant | None = None
    data: Array | None = None
    source: int = -1
    kept: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def type_name(self) -> str:
        """The element type for people; of a void type the reason that it carries (see load_tflite)."""
        return self.dtype.names[0] if self.dtype.names else self.dtype.name

    @property
    def scale(self) -> float:
        """The per-tensor scale (float32 value)."""
        assert self.quant is not None
        return self.quant.scale[0]

    @property
    def zero_point(self) -> int:
        assert self.quant is not None
        return self.quant.zero_point[0]


@dataclass(frozen=True)
class Node:
    """One application of an op. `inputs` and `outputs` name tensors; an absent optional input is None."""

    op: str
    name: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    attrs: Any = None
    version: int = 1


@dataclass(frozen=True)
class Graph:
    """A model: nodes in execution order over named tensors."""

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    description: str = field(default="", compare=False)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    @cached_property
    def producers(self) -> Mapping[str, int]:
        """Tensor name -> index of the node that writes it."""
        return {out: i for i, node in enumerate(self.nodes) for out in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[int, ...]]:
        """Tensor name -> indices of the nodes that read it, in order."""
        readers: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for name in dict.fromkeys(n for n in node.inputs if n is not None):
                readers.setdefault(name, []).append(i)
        return {name: tuple(indices) for name, indices in readers.items()}

    def activations(self) -> Iterator[Tensor]:
        """Tensors that need memory while the model runs: inputs and whatever a node writes."""
        for name in self.inputs:
            yield self.tensors[name]
        for node in self.nodes:
            for name in node.outputs:
                yield self.tensors[name]

    def pruned(self) -> Graph:
        """The graph without nodes whose results nobody reads and tensors that nobody mentions."""
        wanted, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                wanted.update(n for n in node.inputs if n is not None)
                kept.append(node)
        mentioned = wanted | set(self.inputs) | {out for node in kept for out in node.outputs}
        tensors = {name: t for name, t in self.tensors.items() if name in mentioned}
        return replace(self, nodes=tuple(reversed(kept)), tensors=tensors)
