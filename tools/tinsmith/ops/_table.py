"""Ops from one byte to another: passes lower them to LOOKUP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph
from ._examples import quantized, random_ratio, random_shape, single
from ._quantized import Int8Op
from .base import Call


class Tabulated(Int8Op):
    """An element-wise op on bytes: 256 results say everything about it."""

    lowered = "limits of the op before it, or a `LOOKUP`"

    def tabulated(self, call: Call) -> bool:
        """Whether this call maps single bytes to single bytes."""
        return call.x.dtype.itemsize == 1 and call.y.dtype.itemsize == 1

    def results(self, call: Call) -> Array:
        """The outputs for the input bytes 0x00 to 0xFF, in this order."""
        every = np.arange(256, dtype=np.uint8).view(call.x.dtype)
        flat = replace(call, inputs=(replace(call.x, shape=(256,)),), outputs=(replace(call.y, shape=(256,)),))
        return self.reference(flat, [every])

    def random_attrs(self, rng: Generator) -> Any:
        return self.Attrs() if self.Attrs else None

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            x = quantized(rng, "x", random_shape(rng, int(rng.integers(1, 5))))
            y = quantized(rng, "y", x.shape, scale=x.scale * random_ratio(rng))
            graph = single(self, self.random_attrs(rng), [x], self.random_output(rng, replace(y, shape=x.shape)))
            if graph is not None:
                yield graph

    def random_output(self, rng: Generator, y: Any) -> Any:
        return y
