"""A Graph written as a .tflite file, the arrow opposite to loading.

Codes, option tables and element types come from the schema (the generated modules of the `tflite`
package), so an op that the schema knows needs no edit here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any

import flatbuffers
import numpy as np
import tflite

from tinsmith import schema
from tinsmith.errors import ModelError, Unsupported
from tinsmith.graph import Array, Graph, Node, Quant, Tensor

_SCHEMA_VERSION = 3
_FILE_IDENTIFIER = b"TFL3"
_BUFFER_ALIGN = 16  # schema.fbs: `force_align: 16` on Buffer.data
# `deprecated_builtin_code` is a byte. Codes that do not fit carry this mark there, and readers then
# take `builtin_code`.
_LAST_BYTE_CODE = tflite.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES

# Option tables that the schema names after a family of ops instead of after one op.
_FAMILIES = {
    r".*_POOL_2D": "Pool2DOptions",
    r"MEAN|SUM|REDUCE_.*": "ReducerOptions",
    r"MAXIMUM|MINIMUM": "MaximumMinimumOptions",
    r"L2_NORMALIZATION": "L2NormOptions",
    r"RANDOM_.*|MULTINOMIAL": "RandomOptions",
    r"CONV_3D_TRANSPOSE": "Conv3DOptions",
    r"UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
}


def save_tflite(graph: Graph, versions: Mapping[str, int] | None = None) -> bytes:
    """The bytes of a .tflite file that holds `graph`; the same graph gives the same bytes.

    `Node.op` is the name of a builtin operator. `Node.attrs` is None (no options are written) or a
    dataclass whose field names are those of the op's options table in schema.fbs; values are numbers,
    enum value names, dtypes or tuples of numbers. `versions` maps an op to the version to write instead of
    the node's own.

    Raises ModelError if a node or the graph names a tensor that does not exist or a tensor's data or
    quantization does not fit its shape, and Unsupported if the format has no place for something.
    """
    _check_names(graph)
    b = flatbuffers.Builder(1024 + sum(t.nbytes + 256 for t in graph.tensors.values() if t.data is not None))
    index = {name: i for i, name in enumerate(graph.tensors)}
    used = [(node.op, (versions or {}).get(node.op, node.version)) for node in graph.nodes]
    codes = list(dict.fromkeys(used))

    constants = [t for t in graph.tensors.values() if t.data is not None]
    buffer_of = {t.name: 1 + i for i, t in enumerate(constants)}  # buffer 0 is empty by convention
    buffers = [_buffer(b, b""), *(_buffer(b, _constant_bytes(t)) for t in constants)]
    tensors = [_tensor(b, t, buffer_of.get(t.name, 0)) for t in graph.tensors.values()]
    nodes = [_operator(b, node, codes.index(use), index) for node, use in zip(graph.nodes, used, strict=True)]
    subgraph = _table(
        b,
        "SubGraph",
        tensors=_offsets(b, tensors),
        inputs=_int32s(b, [index[n] for n in graph.inputs]),
        outputs=_int32s(b, [index[n] for n in graph.outputs]),
        operators=_offsets(b, nodes),
        name=b.CreateString(graph.name),
    )
    model = _table(
        b,
        "Model",
        version=_SCHEMA_VERSION,
        operator_codes=_offsets(b, [_operator_code(b, op, version) for op, version in codes]),
        subgraphs=_offsets(b, [subgraph]),
        description=b.CreateString(graph.description),
        buffers=_offsets(b, buffers),
    )
    b.Finish(model, file_identifier=_FILE_IDENTIFIER)
    return bytes(b.Output())


def _check_names(graph: Graph) -> None:
    """Every tensor that is mentioned exists."""
    for what, names in (("input", graph.inputs), ("output", graph.outputs)):
        for name in names:
            if name not in graph.tensors:
                raise ModelError(f"graph {graph.name}: its {what} {name!r} is not one of its tensors")
    for node in graph.nodes:
        for name in (*(n for n in node.inputs if n is not None), *node.outputs):
            if name not in graph.tensors:
                raise ModelError(f"node {node.name} ({node.op}): tensor {name!r} is not in the graph")


def _normal(name: str) -> str:
    """CONV_2D, conv_2d and Conv2D in one spelling: the schema mixes styles (ATan2, DilationWFactor)."""
    return name.replace("_", "").lower()


@cache
def _adders(table: str) -> dict[str, Any]:
    """Normalized field name -> the generated function that adds the field to table `table`."""
    prefix = f"{table}Add"
    names = [name for name in dir(tflite) if name.startswith(prefix)]
    return {_normal(name.removeprefix(prefix)): getattr(tflite, name) for name in names}


def _table(b: flatbuffers.Builder, table: str, **values: Any) -> int:
    """Writes table `table` with the given fields (snake_case; tables, vectors and strings as offsets)."""
    getattr(tflite, f"{table}Start")(b)
    for name, value in values.items():
        _adders(table)[_normal(name)](b, value)
    return int(getattr(tflite, f"{table}End")(b))


def _offsets(b: flatbuffers.Builder, values: Sequence[int]) -> int:
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        b.PrependUOffsetTRelative(value)
    return int(b.EndVector())


def _int32s(b: flatbuffers.Builder, values: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.asarray(values, "<i4")))


def _buffer(b: flatbuffers.Builder, data: bytes) -> int:
    if not data:
        return _table(b, "Buffer")
    b.StartVector(1, len(data), _BUFFER_ALIGN)
    # Builder.CreateByteVector cannot align; this is its body on a vector that is.
    b.head -= len(data)
    b.Bytes[b.head : b.head + len(data)] = data
    return _table(b, "Buffer", data=b.EndVector())


def _constant_bytes(tensor: Tensor) -> bytes:
    data: Array = np.asarray(tensor.data)
    if data.shape != tensor.shape or data.dtype != tensor.dtype:
        raise ModelError(
            f"tensor {tensor.name}: its data is {data.dtype}{list(data.shape)}, "
            f"the tensor is {tensor.dtype}{list(tensor.shape)}"
        )
    return np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()


def _tensor_type(dtype: np.dtype[Any], where: str) -> int:
    code = schema.numbers(tflite.TensorType).get(dtype.name.upper())
    if code is None:
        raise Unsupported(f"{where}: .tflite files have no element type {dtype.name}")
    return code


def _tensor(b: flatbuffers.Builder, tensor: Tensor, buffer: int) -> int:
    values = {
        "shape": _int32s(b, tensor.shape),
        "type": _tensor_type(tensor.dtype, f"tensor {tensor.name}"),
        "buffer": buffer,
        "name": b.CreateString(tensor.name),
    }
    if tensor.quant is not None:
        values["quantization"] = _quantization(b, tensor, tensor.quant)
    return _table(b, "Tensor", **values, has_rank=True)


def _quantization(b: flatbuffers.Builder, tensor: Tensor, quant: Quant) -> int:
    if len(quant.scale) != len(quant.zero_point):
        raise ModelError(
            f"tensor {tensor.name}: one zero point per scale is needed, "
            f"there are {len(quant.scale)} scales and {len(quant.zero_point)} zero points"
        )
    # Converters give a bias the axis of its weights, which it need not have.
    channels = tensor.shape[quant.axis] if quant.axis < len(tensor.shape) else tensor.size
    if not quant.per_tensor and channels != len(quant.scale):
        raise ModelError(
            f"tensor {tensor.name}: {len(quant.scale)} scales do not fit axis {quant.axis} of {list(tensor.shape)}"
        )
    return _table(
        b,
        "QuantizationParameters",
        scale=b.CreateNumpyVector(np.asarray(quant.scale, "<f4")),
        zero_point=b.CreateNumpyVector(np.asarray(quant.zero_point, "<i8")),
        quantized_dimension=quant.axis,
    )


def _operator_code(b: flatbuffers.Builder, op: str, version: int) -> int:
    code = schema.numbers(tflite.BuiltinOperator).get(op)
    if code is None or op in ("CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"):
        raise Unsupported(f"op {op}: it is not a builtin operator of .tflite files")
    old = min(code, _LAST_BYTE_CODE)
    return _table(b, "OperatorCode", deprecated_builtin_code=old, builtin_code=code, version=version)


def _operator(b: flatbuffers.Builder, node: Node, code: int, index: Mapping[str, int]) -> int:
    values = {
        "opcode_index": code,
        "inputs": _int32s(b, [-1 if n is None else index[n] for n in node.inputs]),
        "outputs": _int32s(b, [index[n] for n in node.outputs]),
    }
    if node.attrs is not None:
        values |= _options(b, node)
    return _table(b, "Operator", **values)


def _options_table(op: str) -> str | None:
    """The name of the options table of `op`, None if it has none."""
    known = {_normal(n): n for enum in (tflite.BuiltinOptions, tflite.BuiltinOptions2) for n in schema.numbers(enum)}
    if _normal(op) + "options" in known:
        return known[_normal(op) + "options"]
    return next((table for pattern, table in _FAMILIES.items() if re.fullmatch(pattern, op)), None)


def _options(b: flatbuffers.Builder, node: Node) -> dict[str, int]:
    """Writes the options of `node`; returns the fields of table Operator that refer to them."""
    table = _options_table(node.op)
    known = _adders(table) if table else {}
    values: dict[str, Any] = {}
    for attr in fields(node.attrs):
        value = getattr(node.attrs, attr.name)
        if _normal(attr.name) in known:
            if value is not None:
                values[attr.name] = _option(b, node, attr.name, value)
        elif not _is_default(attr, value):
            why = f"{table} has no such field" if table else "the op has no options"
            raise Unsupported(f"node {node.name} ({node.op}): .tflite cannot hold {attr.name} = {value!r}, {why}")
    if table is None:
        return {}
    offset = _table(b, table, **values)
    suffix = "" if table in schema.numbers(tflite.BuiltinOptions) else "_2"
    enum = tflite.BuiltinOptions2 if suffix else tflite.BuiltinOptions
    return {f"builtin_options{suffix}_type": schema.numbers(enum)[table], f"builtin_options{suffix}": offset}


def _is_default(attr: Field[Any], value: Any) -> bool:
    default = attr.default_factory() if attr.default_factory is not MISSING else attr.default
    return default is not MISSING and bool(default == value)


def _option(b: flatbuffers.Builder, node: Node, name: str, value: Any) -> Any:
    """The scalar to store in field `name`, or the offset of the vector that was written for it."""
    if isinstance(value, np.dtype):
        return _tensor_type(value, f"node {node.name} ({node.op}): {name}")
    if isinstance(value, str):
        enum = schema.ENUM_FIELDS.get(name, tflite.TensorType if name.endswith("type") else None)
        members = schema.numbers(enum) if enum else {}
        if value not in members:
            allowed = ", ".join(members) or "a number"
            raise ModelError(f"node {node.name} ({node.op}): {name} is {value!r}, it must be one of: {allowed}")
        return members[value]
    if isinstance(value, Sequence):
        floats = any(isinstance(v, float) for v in value)
        return b.CreateNumpyVector(np.asarray(value, "<f4" if floats else "<i4"))
    return value
