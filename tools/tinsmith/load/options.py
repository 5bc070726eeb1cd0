"""Options of operators: tables of the schema, read by the field names of each op's Attrs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .. import ops, schema
from ..graph import Node

if TYPE_CHECKING:
    from .tflite import Reader


def attrs(reader: Reader, operator: Any, node: Node) -> Any:
    """The Attrs of an operator of a file, None if Tinsmith does not know the op. Raises ModelError if the file has
    options of another op, or none where the op needs them."""
    op = ops.table().get(node.op)
    if op is None or op.Attrs is None:
        return None
    fields = [f for f in dataclasses.fields(op.Attrs) if not f.metadata.get("internal")]
    table, cls = operator.BuiltinOptions(), schema.options_class(operator.BuiltinOptionsType())
    if table is None or cls is None:
        if fields and op.needs_options:
            raise reader.fail(f"node {node.name!r} ({node.op}) must have options; found none")
        return op.Attrs()
    if any(not hasattr(cls, schema.camel(f.name)) for f in fields):
        raise reader.fail(f"node {node.name!r} ({node.op}) must have options of its own; found {cls.__name__}")
    options = cls()
    options.Init(table.Bytes, table.Pos)
    return op.Attrs(**{f.name: option(reader, options, f.name) for f in fields})


def option(reader: Reader, options: Any, field: str) -> Any:
    """One option: a number, a tuple of numbers, or the name of an enumeration's value."""
    accessor = schema.camel(field)
    if hasattr(options, accessor + "AsNumpy"):
        return tuple(int(v) for v in reader.vector(getattr(options, accessor + "AsNumpy")()))
    value = getattr(options, accessor)()
    if field in schema.ENUM_FIELDS:
        return schema.names(schema.ENUM_FIELDS[field]).get(value, str(value))
    return value
