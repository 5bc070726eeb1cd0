"""Changes single numbers in .tflite files, and has save_tflite write fields that it never writes by itself."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flatbuffers
import pytest
import tflite

from tinsmith.graph import Graph
from tinsmith.save import tflite as save

Extra = Callable[[flatbuffers.Builder], dict[str, Any]]


class File:
    """A file under the knife. Tables are accessors of the generated schema; fields count from 0 in the order of
    schema.fbs."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def __bytes__(self) -> bytes:
        return bytes(self.data)

    @property
    def model(self) -> Any:
        return tflite.Model.GetRootAs(self.data)

    def tensor(self, name: str) -> Any:
        subgraph = self.model.Subgraphs(0)
        tensors = [subgraph.Tensors(i) for i in range(subgraph.TensorsLength())]
        return next(t for t in tensors if t.Name() == name.encode())

    def operator(self, index: int) -> Any:
        return self.model.Subgraphs(0).Operators(index)

    def place(self, table: Any, field: int) -> int:
        """Where a field of a table lies in the file."""
        offset = table._tab.Offset(4 + 2 * field)
        assert offset, f"the file leaves field {field} at its default"
        return int(table._tab.Pos + offset)

    def set(self, table: Any, field: int, format: str, value: float) -> File:
        """Overwrites a number in a table."""
        struct.pack_into(format, self.data, self.place(table, field), value)
        return self

    def set_element(self, table: Any, field: int, index: int, format: str, value: float) -> File:
        """Overwrites an element of a vector that a table refers to; index -1 is its length, of format "<I"."""
        start = self.place(table, field)
        start += struct.unpack_from("<I", self.data, start)[0] + 4
        width = 4 if index < 0 else struct.calcsize(format)
        struct.pack_into(format, self.data, start + index * width, value)
        return self


@contextmanager
def extra(monkeypatch: pytest.MonkeyPatch, table: str, fields: Extra) -> Iterator[None]:
    """Adds fields to every table of a kind that is saved meanwhile."""
    real = save._table

    def written(b: flatbuffers.Builder, kind: str, /, **values: Any) -> int:
        return real(b, kind, **(values | fields(b) if kind == table else values))

    with monkeypatch.context() as patch:
        patch.setattr(save, "_table", written)
        yield


def behind(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The graph saved with its constants behind the flatbuffer, found by Buffer.offset and Buffer.size."""
    constants: list[bytes] = []
    marks: list[bytes] = []

    def outside(b: flatbuffers.Builder, data: bytes) -> int:
        if not data:
            return save._table(b, "Buffer")
        marks.append(struct.pack("<Q", 0xFEED0000 + len(marks)))
        constants.append(data)
        return save._table(b, "Buffer", offset=struct.unpack("<Q", marks[-1])[0], size=len(data))

    with monkeypatch.context() as patch:
        patch.setattr(save, "_buffer", outside)
        data = save.save_tflite(graph)
    for mark, constant in zip(marks, constants, strict=True):
        data += bytes(-len(data) % 16)
        assert data.count(mark) == 1
        data = data.replace(mark, struct.pack("<Q", len(data))) + constant
    return data
