"""The linked form of a compiled model: readable C that keeps everything constant in flash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import __version__, ops
from ..graph import Array, Graph, Node, Tensor
from ..ops.base import Call
from ..ops.params import c_fields
from ..plan import Plan
from ..plan.memories import ADDRESS_BYTES
from .core import struct_name
from .demand import Order
from .memory_map import memory_map
from .render import C_TYPES, c_float, c_integer, c_string, c_values, identifier, render, safe_comment

API_VERSION = 3  # TIN_API_VERSION
TIN_TYPES = {
    "int8": "TIN_INT8",
    "uint8": "TIN_UINT8",
    "int16": "TIN_INT16",
    "int32": "TIN_INT32",
    "float32": "TIN_FLOAT32",
}


@dataclass
class Arrays:
    """Constant arrays in order of first use; equal ones are written once."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    names: dict[tuple[str, bytes], str] = field(default_factory=dict)

    def add(self, data: Array, ctype: str, comment: str) -> str:
        key = (ctype, data.tobytes())
        if key not in self.names:
            self.names[key] = f"constant{len(self.entries)}"
            self.entries.append({
                "name": self.names[key], "ctype": ctype, "size": data.size, "text": c_values(data),
                "bytes": data.nbytes, "comment": safe_comment(comment),
            })  # fmt: skip
        return self.names[key]


def linked(plan: Plan, name: str, specialised: bool = False, flag: str = "-O2") -> dict[str, str]:
    """NAME.h, NAME.c and NAME.json of a plan. `name` must be a C identifier (see render.identifier).

    If `specialised`, NAME.c includes its kernels, so that the compiler knows their parameters. `flag` is the
    compiler's optimization level that all of it is made for.
    """
    graph, arrays = plan.graph, Arrays()
    runnable = [i for i, n in enumerate(graph.nodes) if not ops.find(n.op).view]
    nodes = [node_entry(plan, graph.nodes[i], k, arrays) for k, i in enumerate(runnable)]
    order = Order(plan, {i: f"node{k}" for k, i in enumerate(runnable)})
    omitted = plan.omitted(thrifty=not specialised)
    taken: set[str] = set()
    inputs = [io_entry(plan, graph[n], name, "input", i, taken) for i, n in enumerate(graph.inputs)]
    outputs = [io_entry(plan, graph[n], name, "output", i, taken) for i, n in enumerate(graph.outputs)]
    values = {
        "name": name, "NAME": name.upper(), "version": __version__, "api_version": API_VERSION,
        "summary": summary(plan, arrays), "arena_bytes": plan.arena_bytes, "scratch_bytes": plan.scratch_bytes,
        "inputs": inputs, "outputs": outputs, "arrays": arrays.entries, "nodes": nodes,
        "streamed": order.streamed(), "calls": order.calls(), "comments": {n["name"]: n["comment"] for n in nodes},
        "memory_map": memory_map(plan), "packing": plan.packing,
        "omitted": omitted, "feed": feed_entry(plan, inputs, arrays), "memories": memory_entries(plan, name),
        "address_bytes": ADDRESS_BYTES * (len(plan.memories) - 1),
        "included": [s for s in plan.sources if s.endswith(".c")] if specialised else [],
    }  # fmt: skip
    return {
        f"{name}.h": render("model.h.j2", **values),
        f"{name}.c": render("model.c.j2", **values),
        f"{name}.json": json.dumps(report(plan, name, arrays, omitted, flag), indent=2) + "\n",
    }


def memory_entries(plan: Plan, model: str) -> list[dict[str, Any]]:
    """The memories of a model, the arena first: what they are called and what the model needs of them."""
    if not plan.memories:
        return [{"name": "arena", "macro": f"{model}_ARENA".upper(), "bytes": plan.arena_bytes, "note": ""}]
    return [
        {
            "name": m.room.name, "macro": f"{model}_{m.room.name}".upper(), "bytes": m.nbytes,
            "note": f"of {m.room.nbytes:,}; {share:.0%} of the traffic",
        }
        for m, share in zip(plan.memories, plan.traffic_shares, strict=True)
    ]  # fmt: skip


def summary(plan: Plan, arrays: Arrays) -> list[str]:
    graph = plan.graph
    macs = sum(ops.find(n.op).macs(Call.of(graph, n)) for n in graph.nodes)
    constants = sum(e["bytes"] for e in arrays.entries)
    return [
        f"{safe_comment(graph.name)}: {len(graph.nodes)} nodes, {macs:,} multiply-accumulates an inference,",
        f"{constants:,} bytes of constants in flash, {plan.arena_bytes:,} bytes of arena.",
    ]


def describe(graph: Graph, node: Node) -> str:
    """OP "name" input shapes -> output shape."""
    call = Call.of(graph, node)
    sources = ", ".join("x".join(map(str, call.input(i).shape)) for i in ops.find(node.op).runtime_inputs(call))
    name = node.name if len(node.name) <= 60 else f"{node.name[:28]}...{node.name[-28:]}"
    return safe_comment(f"{node.op} '{name}' {sources} -> {'x'.join(map(str, call.y.shape))}")


def node_entry(plan: Plan, node: Node, index: int, arrays: Arrays) -> dict[str, Any]:
    """Everything the template needs to define one node's parameters and call its kernel."""
    call = Call.of(plan.graph, node)
    op = plan.kernel(node)
    views = [rows_of(plan, call, op, call.input(i), arrays) for i in op.runtime_inputs(call)]
    name = f"node{index}"
    separate = op.runtime_arity is None
    source = f"{name}_in" if separate else views[0] if op.runtime_arity == 1 else "{ " + ", ".join(views) + " }"
    fields = [f".in = {source}", f".out = {rows_of(plan, call, op, call.y, arrays)}"]
    if op.needs_scratch:
        fields.append(f".scratch = {plan.c_place(plan.scratch_offset(node)) if op.scratch_bytes(call) else 0}")
    if op.needs_state:
        fields.append(f".state = {plan.c_place(plan.state_offset(node))}")
    params = op.params(call)
    for field_name, ctype, text in c_fields(type(params)):
        value = getattr(params, field_name)
        if ctype.pointer:
            value = arrays.add(value, ctype.name, f"{name} {field_name}: {text}")
        else:
            value = c_float(value) if ctype.name == "float" else c_integer(int(value))
        fields.append(f".{field_name} = {value}")
    return {
        "name": name, "comment": describe(plan.graph, node), "struct": struct_name(op), "kernel": op.kernel,
        "fields": fields, "rows": views if separate else [], "index": index,
    }  # fmt: skip


def rows_of(plan: Plan, call: Call, op: ops.Op, tensor: Tensor, arrays: Arrays) -> str:
    """A tin_rows initialiser: a tensor in flash, or one in the arena: whole, a ring of rows, or rows by a table."""
    count, stride = op.rows(call, tensor)
    if tensor.data is not None:
        source = arrays.add(tensor.data, C_TYPES[tensor.dtype.name], f"constant '{tensor.name}'")
        return f"{{ {source}, 0, {stride}, {count} }}"
    table = row_table(plan, tensor, arrays)
    if table:
        return f"{{ {table}, 1, TIN_TABLE_STRIDE, 1 }}"
    return f"{{ NULL, {plan.c_place(plan.offset(tensor.name))}, {stride}, {plan.rows_held(tensor.name, count)} }}"


def row_table(plan: Plan, tensor: Tensor, arrays: Arrays) -> str | None:
    """The array that tells where the rows of a tensor lie, if there is one."""
    table = plan.row_table(tensor.name)
    return None if table is None else arrays.add(table, "uint16_t", f"rows of '{plan.roots[tensor.name]}'")


def io_entry(plan: Plan, tensor: Tensor, model: str, kind: str, index: int, taken: set[str]) -> dict[str, Any]:
    """An input or output of the model: accessor, macros, description."""
    count = len(plan.graph.inputs if kind == "input" else plan.graph.outputs)
    accessor = f"{model}_{kind}" if count == 1 else f"{model}_{kind}{index}"
    taken.add(accessor)
    shape = [str(d) for d in tensor.shape]
    scale = c_float(tensor.scale) if tensor.quant else ""
    real = f", real = {scale} * (q - {tensor.zero_point})" if tensor.quant else ""
    comment = f"{kind} {index} '{tensor.name}': {tensor.dtype} [{', '.join(shape)}]{real}"
    return {
        "accessor": accessor, "macro": accessor.upper(), "place": plan.c_place(plan.offset(tensor.name)),
        "fed": tensor.name in plan.fed, **io_memory(plan, tensor),
        "elements": tensor.size, "bytes": tensor.nbytes, "ctype": C_TYPES[tensor.dtype.name],
        "type": TIN_TYPES[tensor.dtype.name], "rank": len(shape), "shape": ", ".join(shape) or "0",
        "scale": scale, "zero_point": tensor.zero_point if tensor.quant else 0,
        "string": c_string(tensor.name), "comment": safe_comment(comment),
    }  # fmt: skip


def io_memory(plan: Plan, tensor: Tensor) -> dict[str, Any]:
    """The name of the memory that an input or output lies in, and bytes from its start."""
    offset = plan.offset(tensor.name)
    if not plan.memories:
        return {"memory": "arena", "offset": offset}
    memory = plan.memories[plan.memory_of(offset)]
    return {"memory": memory.room.name, "offset": offset - memory.start}


def feed_entry(plan: Plan, inputs: Sequence[Mapping[str, Any]], arrays: Arrays) -> dict[str, Any] | None:
    """How the input comes row by row; None if it comes as a whole. `inputs` are io_entry's."""
    if not plan.fed:
        return None
    (entry,), (name,) = inputs, plan.fed
    buffer, (rows, row_bytes) = plan.buffer(name), plan.sizes[name]
    return {
        "macro": entry["macro"], "rows": rows, "row_bytes": row_bytes, "needed": plan.rows_fetched,
        "held": buffer.rows, "place": plan.c_place(buffer.offset),
        "table": row_table(plan, plan.graph[name], arrays),
    }  # fmt: skip


def report(plan: Plan, name: str, arrays: Arrays, omitted: Sequence[str], flag: str) -> dict[str, Any]:
    """NAME.json: the plan for machines."""
    graph = plan.graph
    digest = hashlib.sha256()
    for entry in arrays.entries:
        digest.update(entry["text"].encode())
    return {
        "name": name,
        "source": graph.name,
        "tinsmith": __version__,
        "constants_sha256": digest.hexdigest(),
        "arena_bytes": plan.arena_bytes,
        "scratch_bytes": plan.scratch_bytes,
        "memories": [
            {"name": m.room.name, "start": m.start, "bytes": m.nbytes, "room": m.room.nbytes} for m in plan.memories
        ],
        "constant_bytes": sum(e["bytes"] for e in arrays.entries),
        "packing": plan.packing,
        "sources": list(plan.sources),
        "defines": [f"{macro}=0" for macro in omitted],
        "flag": flag,
        "inputs": [tensor_report(plan, graph[n]) for n in graph.inputs],
        "outputs": [tensor_report(plan, graph[n]) for n in graph.outputs],
        "feed": feed_report(plan),
        "layers": [layer_report(plan, n) for n in graph.nodes if not ops.find(n.op).view],
    }


def feed_report(plan: Plan) -> dict[str, int] | None:
    """The rows of an input that comes row by row: how many, how many of them are asked for, bytes of each."""
    if not plan.fed:
        return None
    rows, row_bytes = plan.sizes[plan.fed[0]]
    return {"rows": rows, "rows_needed": plan.rows_fetched, "row_bytes": row_bytes}


def tensor_report(plan: Plan, t: Tensor) -> dict[str, Any]:
    return {
        "name": t.name, "dtype": t.dtype.name, "shape": list(t.shape), "offset": plan.offset(t.name), "bytes": t.nbytes,
        "scale": t.scale if t.quant else None, "zero_point": t.zero_point if t.quant else None,
    }  # fmt: skip


def layer_report(plan: Plan, node: Node) -> dict[str, Any]:
    call = Call.of(plan.graph, node)
    return {
        "name": node.name, "op": node.op, "kernel": plan.kernel(node).kernel,
        "macs": ops.find(node.op).macs(call),
        "inputs": [n for n in node.inputs if n is not None], "output": tensor_report(plan, call.y),
    }  # fmt: skip


__all__ = ["identifier", "linked", "report"]
