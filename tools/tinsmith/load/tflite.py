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

from .. import ops, schema
from ..errors import ModelError, Unsupported
from ..graph import Array, Graph, Node, Quant, Tensor

MAX_RANK = 8
MAX_ELEMENTS = 2**31 - 1


def load_tflite(data: bytes, name: str) -> Graph:
    """The first subgraph of a .tflite file; ops that Tinsmith does not know stay in it by name.

    Raises ModelError for damaged files and Unsupported for element types that it has no name for.
    """
    if len(data) < 16:
        raise ModelError(f"{name}: a TFLite file has at least 16 bytes, this one has {len(data)}")
    if data[4:8] != b"TFL3":
        raise ModelError(f"{name}: a TFLite file has the identifier 'TFL3' at byte 4, this one has {data[4:8]!r}")
    try:
        return Reader(data, name).graph()
    except (struct.error, IndexError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{name}: damaged or truncated TFLite file ({error})") from None


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
        self.model = tflite.Model.GetRootAs(data)
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
            raise self.fail("damaged file: its tables repeat without end")

    def each(self, count: int, what: str) -> Iterator[int]:
        if not 0 <= count <= len(self.data) // 4:
            raise self.fail(f"{count} {what} do not fit into {len(self.data)} bytes")
        for index in range(count):
            self.spend(1)
            yield index

    def graph(self) -> Graph:
        if self.model.SubgraphsLength() < 1:
            raise self.fail("no subgraph in the file")
        subgraph = self.model.Subgraphs(0)
        names = self.tensor_names(subgraph)
        tensors = {names[i]: self.tensor(subgraph.Tensors(i), names[i], i) for i in range(len(names))}
        self.refuse_unknown_types(tensors)
        nodes = self.nodes(subgraph, names)
        inputs = self.references(subgraph.InputsAsNumpy(), names, "input of the model")
        outputs = self.references(subgraph.OutputsAsNumpy(), names, "output of the model")
        graph = Graph(self.name, tensors, nodes, self.present(inputs), self.present(outputs), self.text(self.model.Description()))
        self.check_order(graph)
        return graph

    def text(self, value: bytes | None) -> str:
        return (value or b"").decode("utf-8", "replace")

    def tensor_names(self, subgraph: Any) -> list[str]:
        """Names made unique and never empty; duplicates get the tensor's index."""
        result: list[str] = []
        seen: set[str] = set()
        for i in self.each(subgraph.TensorsLength(), "tensors"):
            name = self.text(subgraph.Tensors(i).Name())
            self.spend(len(name))
            if not name or name in seen:
                name = f"{name or 'tensor'}#{i}"
            while name in seen:
                name += "'"
            seen.add(name)
            result.append(name)
        return result

    def tensor(self, t: Any, name: str, index: int) -> Tensor:
        shape = tuple(int(d) for d in self.vector(t.ShapeAsNumpy())[: MAX_RANK + 1])
        signature = self.vector(t.ShapeSignatureAsNumpy())
        if len(shape) > MAX_RANK:
            raise self.fail(f"tensor {name!r} has more than {MAX_RANK} dimensions")
        # A batch (or any size) left open is one; the signature, where there is one, marks it by -1.
        shape = tuple(1 if d == -1 or (len(signature) == len(shape) and s == -1) else d
                      for d, s in zip(shape, signature if len(signature) == len(shape) else shape, strict=True))  # fmt: skip
        size = 1
        for d in shape:
            size *= d
            if d < 0 or size > MAX_ELEMENTS:
                raise self.fail(f"tensor {name!r} has shape {list(shape)}; sizes are not negative and below 2^31 in all")
        type_name = schema.names(tflite.TensorType).get(t.Type(), str(t.Type()))
        dtype = element_type(type_name)
        data = self.constant(t.Buffer(), name, shape, dtype) if dtype.kind != "V" else None
        if t.IsVariable():
            dtype = unknown("variable")
        return Tensor(name, shape, dtype, self.quant(t, name, shape), data, index)

    def quant(self, t: Any, name: str, shape: tuple[int, ...]) -> Quant | None:
        q = t.Quantization()
        if q is None:
            return None
        scale, zero, axis = self.vector(q.ScaleAsNumpy()), self.vector(q.ZeroPointAsNumpy()), q.QuantizedDimension()
        if not scale.size:
            return None
        if scale.size > 1 and 0 <= axis < len(shape) and shape[axis] != scale.size or scale.size > max(1, *shape):
            raise self.fail(f"tensor {name!r} has {scale.size} scales along dimension {axis} of shape {list(shape)}")
        if zero.size not in (0, 1, scale.size):
            raise self.fail(f"tensor {name!r} has {scale.size} scales but {zero.size} zero points")
        zeros = tuple(int(z) for z in zero) or (0,)
        return Quant(tuple(float(s) for s in scale), zeros * (scale.size // len(zeros)), int(axis))

    def constant(self, index: int, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array | None:
        """The bytes of a buffer as an array, or None if the buffer is empty."""
        if not 0 <= index < self.model.BuffersLength():
            raise self.fail(f"tensor {name!r} names buffer {index} of {self.model.BuffersLength()}")
        raw = self.buffer(index)
        if raw is None:
            return None
        expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if raw.size != expected:
            raise self.fail(f"tensor {name!r} has {raw.size} bytes of data; its shape {list(shape)} needs {expected}")
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
                    raise self.fail(f"buffer {index} ends at byte {end} of {len(self.data)}")
                raw = np.frombuffer(self.data, np.uint8, entry.Size(), entry.Offset())
            self.buffers[index] = None if raw is None or not raw.size else raw.copy()
        return self.buffers[index]

    def references(self, indices: Any, names: list[str], what: str) -> tuple[str | None, ...]:
        """Tensor names for indices; -1 is an absent optional tensor."""
        result: list[str | None] = []
        for i in self.vector(indices):
            if not -1 <= i < len(names):
                raise self.fail(f"{what} is tensor {i} of {len(names)}")
            result.append(None if i == -1 else names[i])
        return tuple(result)

    def present(self, references: tuple[str | None, ...]) -> tuple[str, ...]:
        found = tuple(r for r in references if r is not None)
        if not found or len(found) != len(references):
            raise self.fail("a model has at least one input and one output, none of them absent")
        return found

    def nodes(self, subgraph: Any, names: list[str]) -> tuple[Node, ...]:
        result = []
        for i in self.each(subgraph.OperatorsLength(), "operators"):
            operator = subgraph.Operators(i)
            op, version = self.operator_code(operator.OpcodeIndex())
            inputs = self.references(operator.InputsAsNumpy(), names, f"an input of operator {i} ({op})")
            outputs = self.references(operator.OutputsAsNumpy(), names, f"an output of operator {i} ({op})")
            if not outputs or None in outputs:
                raise self.fail(f"operator {i} ({op}) has no output")
            node = Node(op, outputs[0] or "", inputs, tuple(o for o in outputs if o is not None), None, version)
            result.append(dataclasses.replace(node, attrs=self.attrs(operator, node)))
            self.spend(1)
        return tuple(result)

    def operator_code(self, index: int) -> tuple[str, int]:
        if not 0 <= index < self.model.OperatorCodesLength():
            raise self.fail(f"an operator has code {index} of {self.model.OperatorCodesLength()}")
        code = self.model.OperatorCodes(index)
        # Old writers fill only the deprecated field, which cannot hold newer codes; the larger one counts.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = schema.names(tflite.BuiltinOperator).get(number, f"operator {number}")
        if name == "CUSTOM":
            name = f"CUSTOM:{self.text(code.CustomCode())[:64]}"
        return name, code.Version()

    def attrs(self, operator: Any, node: Node) -> Any:
        """The Attrs of a known op, read from its options table by field name."""
        op = ops.table().get(node.op)
        if op is None or op.Attrs is None:
            return None
        fields = [f for f in dataclasses.fields(op.Attrs) if not f.metadata.get("internal")]
        table, cls = operator.BuiltinOptions(), schema.options_class(operator.BuiltinOptionsType())
        if table is None or cls is None:
            if fields and op.needs_options:
                raise self.fail(f"node {node.name!r} ({node.op}) lacks its options")
            return op.Attrs()
        if any(not hasattr(cls, schema.camel(f.name)) for f in fields):
            raise self.fail(f"node {node.name!r} ({node.op}) has options of type {cls.__name__}")
        options = cls()
        options.Init(table.Bytes, table.Pos)
        return op.Attrs(**{f.name: self.option(options, f.name) for f in fields})

    def option(self, options: Any, field: str) -> Any:
        accessor = schema.camel(field)
        if hasattr(options, accessor + "AsNumpy"):
            return tuple(int(v) for v in self.vector(getattr(options, accessor + "AsNumpy")()))
        value = getattr(options, accessor)()
        if field in schema.ENUM_FIELDS:
            return schema.names(schema.ENUM_FIELDS[field]).get(value, str(value))
        return value

    def refuse_unknown_types(self, tensors: dict[str, Tensor]) -> None:
        wrong = [f"  tensor {t.name!r} is {t.dtype.names[0]}" for t in tensors.values() if t.dtype.names]
        if wrong:
            lines = "\n".join(wrong[:50])
            raise Unsupported(f"{self.name}: element types that Tinsmith does not support:\n{lines}")

    def check_order(self, graph: Graph) -> None:
        """Every tensor is written once, before it is read."""
        known = {t.name for t in graph.tensors.values() if t.data is not None}
        written = known | set(graph.inputs)
        for node in graph.nodes:
            for name in node.inputs:
                if name is not None and name not in written:
                    raise self.fail(f"node {node.name!r} ({node.op}) reads {name!r} before anything writes it")
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
