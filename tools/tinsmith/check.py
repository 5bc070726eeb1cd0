"""Checks of a graph: what a user's model may not do, and what a pass may not break."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import ops
from .errors import Unsupported
from .graph import Graph, Node, Tensor
from .ops._quantized import quant_problem


@dataclass(frozen=True)
class Finding:
    """One reason why a node cannot be compiled, and what would help.

    For an input or output of the model, `node` is its name, `op` says "input" or "output", and `version` is 0.
    """

    node: str
    op: str
    version: int
    reason: str
    help: str

    def __str__(self) -> str:
        where = f"node {self.node!r} ({self.op} version {self.version})" if self.version else f"{self.op} {self.node!r}"
        return f"{where}: {self.reason} {self.help}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def findings(graph: Graph) -> list[Finding]:
    """Everything in the graph that Tinsmith does not support: node by node, then inputs and outputs."""
    found = [finding(graph, node) for node in graph.nodes]
    found += [end_finding(graph[name], "input") for name in graph.inputs]
    found += [end_finding(graph[name], "output") for name in dict.fromkeys(graph.outputs)]
    return [f for f in found if f is not None]


def require_supported(graph: Graph) -> None:
    """Raises Unsupported with all findings at once."""
    found = findings(graph)
    if found:
        lines = "\n".join(f"  {f}" for f in found)
        raise Unsupported(
            f"{graph.name}: {len(found)} things cannot be compiled ({len(graph.nodes)} nodes in all):\n{lines}"
        )


def finding(graph: Graph, node: Node) -> Finding | None:
    """Why this node cannot be compiled, or None."""

    def found(reason: str, advice: str = "") -> Finding:
        return Finding(node.name, node.op, node.version, reason, advice)

    op = ops.table().get(node.op)
    if op is None or (op.internal and node.version):
        return found("There is no such op in Tinsmith.", advice_for(graph, node))
    call = ops.Call.of(graph, node)
    if node.version > op.max_version:
        return found(f"Known up to version {op.max_version}.", "Export the model with an older converter.")
    for t in (*call.inputs, *call.outputs):
        if t is not None and t.dtype.names:
            rule = "Tensors must be dense, constant or computed, and of a type that C has."
            return found(f"{rule} Found: {t.name!r} is {t.type_name}.", advice_for(graph, node))
        if t is not None and 0 in t.shape:
            return found(f"Tensors must not be empty. Found: {t.name!r} has shape {list(t.shape)}.")
    broken = op.broken_rule(call)
    if broken is not None:
        return found(broken, advice_for(graph, node))
    expected = op.output_shape(call)
    if expected != call.y.shape:
        return found(f"Its output must have shape {list(expected)}. Found: {list(call.y.shape)}.")
    return None


END_TYPES = ("int8", "uint8", "int16", "int32", "float32")  # tin_type
END_RANK = 6  # tin_tensor_info.shape


def end_finding(t: Tensor, what: str) -> Finding | None:
    """Why a tensor cannot be an input or output of the model, or None."""

    def found(rule: str, value: str) -> Finding:
        return Finding(t.name, what, 0, f"{rule} Found: {value}.", "")

    if t.type_name not in END_TYPES:
        return found(f"Inputs and outputs must be {', '.join(END_TYPES)}.", t.type_name)
    if len(t.shape) > END_RANK or 0 in t.shape:
        return found(
            f"Inputs and outputs must have at most {END_RANK} dimensions and not be empty.", f"{list(t.shape)}"
        )
    problem = quant_problem(t) if t.quant is not None else None
    if problem:
        return found(
            "Quantized inputs and outputs must have one positive scale, and a zero point in their range.", problem
        )
    return None


def advice_for(graph: Graph, node: Node) -> str:
    """What a user can do about an unsupported node, as far as its tensors tell."""
    if node.op.startswith("CUSTOM:"):
        return "Custom ops run outside the model: cut the model before it."
    types = {graph[n].dtype for n in (*node.inputs, *node.outputs) if n is not None}
    if np.dtype(np.float32) in types and np.dtype(np.int8) not in types:
        return "The node computes in float32: quantize the model to full int8."
    if np.dtype(np.int16) in types:
        return "The node computes in int16: quantize activations to int8."
    if node.op not in ops.table():
        return "Replace it by supported ops (docs/ops.md), or add it: an op is two files."
    return ""


class BrokenGraph(AssertionError):
    """A pass left an inconsistent graph behind: a bug in Tinsmith, not in the model."""


def verify(graph: Graph) -> Graph:
    """Returns the graph if it is consistent; raises BrokenGraph otherwise. Run after every pass."""
    written = {t.name for t in graph.tensors.values() if t.data is not None} | set(graph.inputs)
    for name, tensor in graph.tensors.items():
        if name != tensor.name:
            raise BrokenGraph(f"tensor {tensor.name!r} is filed as {name!r}")
        if tensor.data is not None and (tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype):
            raise BrokenGraph(f"constant {name!r} is {tensor.data.dtype}{list(tensor.data.shape)}, not as declared")
    for node in graph.nodes:
        for missing in {n for n in node.inputs if n is not None} - written:
            raise BrokenGraph(f"{node.name!r} reads {missing!r} before it is written")
        for name in node.outputs:
            if name in written or name not in graph.tensors:
                raise BrokenGraph(f"{node.name!r} writes {name!r}, which is written already or unknown")
            written.add(name)
        op = ops.find(node.op)
        call = ops.Call.of(graph, node)
        broken = op.broken_rule(call)
        if broken is not None or op.output_shape(call) != call.y.shape:
            raise BrokenGraph(f"{node.name!r} ({node.op}): {broken or 'wrong output shape'}")
    if set(graph.outputs) - written:
        raise BrokenGraph(f"nothing writes {sorted(set(graph.outputs) - written)}")
    return graph
