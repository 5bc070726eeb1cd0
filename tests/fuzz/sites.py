"""Where the fields of a file lie, learnt by watching the importer read it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from flatbuffers import encode

from tinsmith.errors import TinsmithError
from tinsmith.load.tflite import load_tflite

MOST_ELEMENTS = 48  # of one vector: weights are many and alike


@dataclass(frozen=True)
class Site:
    """A number in a file: byte offset and struct format (`<I` is an offset, a length or an unsigned field)."""

    offset: int
    format: str

    @property
    def width(self) -> int:
        return struct.calcsize(self.format)

    def read(self, data: bytes | bytearray) -> Any:
        return struct.unpack_from(self.format, data, self.offset)[0]


class Sites(NamedTuple):
    """All numbers that the importer reads from one file, and those among them that are elements of int32
    vectors: shapes and references to tensors."""

    fields: set[Site]
    integers: set[Site]


def sites(data: bytes) -> Sites:
    """What load_tflite reads from a valid file, refused or not."""
    found = Sites(set(), set())
    with watched(found), suppress(TinsmithError):
        load_tflite(data, "seed")
    return found


@contextmanager
def watched(found: Sites) -> Iterator[None]:
    """Notes every read through the flatbuffers library while it is active."""
    get, get_vector = encode.Get, encode.GetVectorAsNumpy

    def noted_get(packer: struct.Struct, buffer: bytes, offset: int) -> Any:
        if offset >= 0:
            found.fields.add(Site(offset, packer.format))
        return get(packer, buffer, offset)

    def noted_vector(dtype: Any, buffer: bytes, count: int, offset: int) -> Any:
        note_vector(found, np.dtype(dtype), count, offset)
        return get_vector(dtype, buffer, count, offset)

    encode.Get, encode.GetVectorAsNumpy = noted_get, noted_vector
    try:
        yield
    finally:
        encode.Get, encode.GetVectorAsNumpy = get, get_vector


def note_vector(found: Sites, dtype: np.dtype[Any], count: int, offset: int) -> None:
    step = max(1, count // MOST_ELEMENTS)
    for i in range(0, count, step):
        site = Site(offset + i * dtype.itemsize, "<" + dtype.char)
        found.fields.add(site)
        if dtype == np.int32:
            found.integers.add(site)
