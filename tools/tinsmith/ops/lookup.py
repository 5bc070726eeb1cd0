"""LOOKUP: a table of 256 bytes; what RELU, LOGISTIC and byte-to-byte QUANTIZE become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ..graph import Array, Graph, Tensor
from ._examples import quantized, random_shape, single
from ._interval import Interval, channel_count
from .base import Call, Op, rule
from .params import I32, U8s, note


class Lookup(Op):
    """Replaces every byte by the one that a table holds for it."""

    name = "LOOKUP"
    internal = True
    arity = (2, 2)

    @dataclass(frozen=True)
    class Attrs:
        pass

    @dataclass(frozen=True)
    class Params:
        table: U8s = note("[256], indexed by the input byte")
        row_bytes: I32 = note("bytes a row")

    @rule
    def table_has_256_bytes(self, call: Call) -> str | None:
        """Tensors must be of bytes, the table a constant of 256 bytes of the output's type."""
        table = call.input(1)
        fits = table.data is not None and table.size == 256 and table.dtype == call.y.dtype
        return None if fits and call.x.dtype.itemsize == call.y.dtype.itemsize == 1 else f"{table.size} {table.dtype}"

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        table = call.input(1).data
        assert inputs[0] is not None and table is not None
        return inputs[0].through(table)

    def channel_sources(self, call: Call, index: int) -> Array | None:
        return np.arange(channel_count(call.y.shape))

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        return row

    def separation(self, call: Call, index: int) -> int | None:
        return 0  # byte by byte

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        x, table = inputs
        assert x is not None and table is not None
        return table[np.ascontiguousarray(x).view(np.uint8)]

    def params(self, call: Call) -> Params:
        table = call.input(1).data
        assert table is not None
        return self.Params(table.view(np.uint8), self.rows(call, call.x)[1])

    def examples(self, rng: Generator) -> Iterator[Graph]:
        while True:
            x = quantized(rng, "x", random_shape(rng, int(rng.integers(1, 5))))
            data = rng.integers(-128, 128, 256).astype(np.int8)
            graph = single(
                self, self.Attrs(), [x, Tensor("table", (256,), data.dtype, None, data)], replace(x, name="y")
            )
            if graph is not None:
                yield graph
