"""Reads .tflite files, trusting nothing in them.

Whatever the bytes are, the result is a Graph or one ModelError (or Unsupported). The flatbuffers
library checks no bounds beyond those of the file, so everything read is checked here, and the total
that is read is bounded by the size of the file: tables may be shared to make small files look endless.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from flatbuffers.number_types import Int32Flags

from .. import schema
from ..errors import ModelError
from ..graph import Array, Graph, Node, Quant, Tensor
from .options import attrs

SCHEMA_VERSION = 3
BUILTIN_CODE = 10  # slot of OperatorCode.builtin_code
MAX_RANK = 8
MAX_NAME = 1000  # characters; fused layers have names of several hundred
MAX_ELEMENTS = 2**31 - 1


def load_tflite(data: bytes, name: str) -> Graph:
    """The first subgraph of a .tflite file; ops that Tinsmith does not know stay in it by name.

    Tensors of element types that numpy lacks, and sparse and variable ones, get a void type that carries the
    reason as its field's name (`Tensor.type_name`): only the nodes that touch them cannot be compiled.
    Raises ModelError for damaged files.
    """
    if len(data) < 16:
        raise ModelError(f"{name}: a TFLite file has at least 16 bytes, this one has {len(data)}")
    if data[4:8] != b"TFL3":
        raise ModelError(f"{name}: a TFLite file has the identifier 'TFL3' at byte 4, this one has {data[4:8]!r}")
    reader = Reader(data, name)
    try:
        return reader.graph()
    except (struct.error, IndexError, TypeError, ValueError, OverflowError) as error:
        raise reader.fail(
            f"damaged or truncated file: {reader.place} must lie within its {len(data)} bytes ({error})"
        ) from None


def load_file(path: Path) -> Graph:
    """load_tflite on a file; the graph is named after it. Raises ModelError if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model: {error.strerror}") from None
    return load_tflite(data, path.name)


class Reader:
    """One pass over one file."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        self.place = "the root table"  # what is being read, for messages
        self.model = tflite.Model()
        self.budget = 8 * len(data) + 4096  # elements of all vectors together
        self.buffers: dict[int, Array | None] = {}

    def fail(self, what: str) -> ModelError:
        return ModelError(f"{self.name}: {what}")

    def vector(self, values: Any) -> Array:
        """A flatbuffer vector as numpy hands it out (0 where it is absent), paid from the budget."""
        array: Array = np.zeros(0, np.int64) if isinstance(values, int) else values
        self.spend(array.size)
        return array

    def spend(self, count: int) -> None:
        self.budget -= count + 1
        if self.budget < 0:
            raise self.fail(
                f"damaged file: {self.place} and what was read before hold far more than its {len(self.data)} bytes"
            )

    def each(self, count: int, what: str) -> Iterator[int]:
        if not 0 <= count <= len(self.data) // 4:
            raise self.fail(f"damaged file: {count} {what} cannot lie within its {len(self.data)} bytes")
        for index in range(count):
            self.spend(1)
            yield index

    def graph(self) -> Graph:
        self.model = tflite.Model.GetRootAs(self.data)
        if self.model.Version() != SCHEMA_VERSION:
            raise self.fail(f"its schema must be version {SCHEMA_VERSION}; found {self.model.Version()}")
        if self.model.SubgraphsLength() < 1:
            raise self.fail("a model has at least one subgraph, this one has none")
        self.place = "subgraph 0"
        subgraph = self.model.Subgraphs(0)
        names = self.tensor_names(subgraph)
        tensors = {name: self.tensor(subgraph.Tensors(i), name, i) for i, name in enumerate(names)}
        nodes = self.nodes(subgraph, names)
        self.place = "the list of inputs and outputs"
        inputs = self.references(subgraph.InputsAsNumpy(), names, "an input of the model")
        outputs = self.references(subgraph.OutputsAsNumpy(), names, "an output of the model")
        description = self.text(self.model.Description())
        graph = Graph(self.name, tensors, nodes, self.present(inputs), self.present(outputs), description)
        self.check_order(graph)
        return graph

    def text(self, value: bytes | None) -> str:
        return (value or b"").decode("utf-8", "replace")

    def tensor_names(self, subgraph: Any) -> list[str]:
        """Names made unique, never empty and not endless; duplicates get the tensor's index."""
        result: list[str] = []
        seen: set[str] = set()
        for i in self.each(subgraph.TensorsLength(), "tensors"):
            self.place = f"tensor {i}"
            name = self.text(subgraph.Tensors(i).Name())
            self.spend(len(name))
            name = name[:MAX_NAME]
            if not name or name in seen:
                name = f"{name or 'tensor'}#{i}"
            while name in seen:
                name += "'"
            seen.add(name)
            result.append(name)
        return result

    def tensor(self, t: Any, name: str, index: int) -> Tensor:
        self.place = f"tensor {index}, {name!r},"
        shape = self.shape(t, name)
        dtype = element_type(schema.names(tflite.TensorType).get(t.Type(), f"of type {t.Type()}"))
        if t.IsVariable():
            dtype = unknown("variable")
        if t.Sparsity() is not None:
            dtype = unknown("sparse")
        data = self.constant(t.Buffer(), name, shape, dtype)
        # Writers leave scales behind at float tensors; they mean nothing there.
        return Tensor(name, shape, dtype, None if dtype.kind == "f" else self.quant(t, name, shape), data, index)

    def shape(self, t: Any, name: str) -> tuple[int, ...]:
        """The sizes that the file holds; one that it leaves open (-1) is one. `shape_signature` tells which of
        them may be resized at run time, which nothing here does."""
        shape = [int(d) for d in self.vector(t.ShapeAsNumpy())[: MAX_RANK + 1]]
        if len(shape) > MAX_RANK:
            raise self.fail(f"tensor {name!r} must have at most {MAX_RANK} dimensions; found {t.ShapeLength()}")
        closed = tuple(1 if d == -1 else d for d in shape)
        size = 1
        for d in closed:
            size *= d
            if d < 0 or size > MAX_ELEMENTS:
                raise self.fail(
                    f"tensor {name!r} must have sizes of 0 or more, less than 2^31 elements in all; found {shape}"
                )
        return closed

    def quant(self, t: Any, name: str, shape: tuple[int, ...]) -> Quant | None:
        q = t.Quantization()
        if q is None:
            return None
        scale, zero, axis = self.vector(q.ScaleAsNumpy()), self.vector(q.ZeroPointAsNumpy()), q.QuantizedDimension()
        if not scale.size:
            return None
        if (scale.size > 1 and 0 <= axis < len(shape) and shape[axis] != scale.size) or scale.size > max(1, *shape):
            raise self.fail(
                f"tensor {name!r} must have one scale, or one for each index of a dimension; "
                f"found {scale.size} along dimension {axis} of shape {list(shape)}"
            )
        if zero.size not in (0, 1, scale.size):
            raise self.fail(
                f"tensor {name!r} must have no zero point, one, or one a scale; "
                f"found {zero.size} for {scale.size} scales"
            )
        zeros = tuple(int(z) for z in zero) or (0,)
        return Quant(tuple(float(s) for s in scale), zeros * (scale.size // len(zeros)), int(axis))

    def constant(self, index: int, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array | None:
        """The bytes of a buffer as an array, or None if the buffer is empty or its type unknown."""
        if not 0 <= index < self.model.BuffersLength():
            raise self.fail(f"tensor {name!r} must name one of {self.model.BuffersLength()} buffers; found {index}")
        raw = self.buffer(index) if dtype.kind != "V" else None
        if raw is None:
            return None
        expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if raw.size != expected:
            raise self.fail(
                f"tensor {name!r} must have {expected} bytes of data as {dtype.name} {list(shape)}; found {raw.size}"
            )
        array: Array = raw.view(dtype).reshape(shape) if expected else np.zeros(shape, dtype)
        return array

    def buffer(self, index: int) -> Array | None:
        if index not in self.buffers:
            entry = self.model.Buffers(index)
            raw: Array | None = None
            if entry.DataLength():
                raw = entry.DataAsNumpy()
            elif entry.Offset() > 1:  # newer writers put large constants behind the flatbuffer
                end = entry.Offset() + entry.Size()
                if end > len(self.data):
                    raise self.fail(
                        f"buffer {index} must end within the {len(self.data)} bytes of the file; found {end}"
                    )
                raw = np.frombuffer(self.data, np.uint8, entry.Size(), entry.Offset())
            self.spend(0 if raw is None else raw.size)  # buffers may overlap: each is copied
            self.buffers[index] = None if raw is None or not raw.size else raw.copy()
        return self.buffers[index]

    def references(self, indices: Any, names: list[str], what: str) -> tuple[str | None, ...]:
        """Tensor names for indices; -1 is an absent optional tensor."""
        result: list[str | None] = []
        for i in self.vector(indices):
            if not -1 <= i < len(names):
                raise self.fail(f"{what} must be one of {len(names)} tensors; found number {i}")
            result.append(None if i == -1 else names[i])
        return tuple(result)

    def present(self, references: tuple[str | None, ...]) -> tuple[str, ...]:
        found = tuple(r for r in references if r is not None)
        if not found or len(found) != len(references):
            raise self.fail(
                f"a model must have at least one input and one output, none absent; found {len(found)} present "
                f"of {len(references)}"
            )
        return found

    def nodes(self, subgraph: Any, names: list[str]) -> tuple[Node, ...]:
        result = []
        for i in self.each(subgraph.OperatorsLength(), "operators"):
            self.place = f"operator {i}"
            operator = subgraph.Operators(i)
            op, version = self.operator_code(operator.OpcodeIndex())
            inputs = self.references(operator.InputsAsNumpy(), names, f"an input of operator {i} ({op})")
            outputs = self.references(operator.OutputsAsNumpy(), names, f"an output of operator {i} ({op})")
            if not outputs or None in outputs:
                raise self.fail(f"operator {i} ({op}) must have outputs, none absent; found {list(outputs)}")
            node = Node(op, outputs[0] or "", inputs, tuple(o for o in outputs if o is not None), None, version)
            result.append(dataclasses.replace(node, attrs=attrs(self, operator, node)))
            self.spend(1)
        return tuple(result)

    def operator_code(self, index: int) -> tuple[str, int]:
        if not 0 <= index < self.model.OperatorCodesLength():
            raise self.fail(
                f"{self.place} must have one of {self.model.OperatorCodesLength()} operator codes; found number {index}"
            )
        code = self.model.OperatorCodes(index)
        # Old writers fill only the deprecated field, which cannot hold newer codes; the larger one counts.
        # The generated accessor would take the deprecated field alone for small codes, hence the raw slot.
        number = max(code._tab.GetSlot(BUILTIN_CODE, 0, Int32Flags), code.DeprecatedBuiltinCode())
        name = schema.names(tflite.BuiltinOperator).get(number, f"operator {number}")
        if name == "CUSTOM":
            custom = self.text(code.CustomCode())
            self.spend(len(custom))
            name = f"CUSTOM:{custom[:64]}"
        return name, code.Version()

    def check_order(self, graph: Graph) -> None:
        """Every tensor is written once, before it is read, and inputs by the caller alone."""
        known = {t.name for t in graph.tensors.values() if t.data is not None}
        for i, name in enumerate(graph.inputs):
            if name in known or name in graph.inputs[:i]:
                what = "a constant" if name in known else "named twice"
                raise self.fail(f"input {name!r} must be a tensor that the caller alone fills; it is {what}")
        written = known | set(graph.inputs)
        # State that keeps its value between runs, and constants of types that numpy lacks, have no data here.
        unknown_types = {t.name for t in graph.tensors.values() if t.dtype.names}
        for node in graph.nodes:
            for source in node.inputs:
                if source is not None and source not in written and source not in unknown_types:
                    raise self.fail(f"node {node.name!r} ({node.op}) reads {source!r} before anything writes it")
            for name in node.outputs:
                if name in written:
                    raise self.fail(f"node {node.name!r} ({node.op}) writes {name!r} a second time")
                written.add(name)
        for name in graph.outputs:
            if name not in written:
                raise self.fail(f"nothing writes the output {name!r}")


def element_type(name: str) -> np.dtype[Any]:
    """The numpy type of a TFLite element type; a void type that carries the name where there is none."""
    try:
        dtype = np.dtype(name.lower())
    except TypeError:
        return unknown(name)
    return dtype if dtype.kind in "iufb" and dtype.itemsize <= 8 else unknown(name)


def unknown(name: str) -> np.dtype[Any]:
    return np.dtype([(name, "V1")])
