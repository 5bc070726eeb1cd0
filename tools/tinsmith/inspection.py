"""What there is to know about a model before it is compiled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import ops, targets
from .check import Finding, findings
from .errors import Unsupported
from .graph import Graph, Node, Tensor
from .load.tflite import load_file
from .ops import Call
from .passes import lower
from .passes.fold_constants import fold_constants
from .plan import Plan, plan


@dataclass(frozen=True)
class LayerInfo:
    """One node of the model as it is in the file."""

    name: str
    op: str
    version: int
    inputs: list[dict[str, Any]]
    output: dict[str, Any]
    macs: int | None
    weights: int  # bytes of constants that the node reads
    supported: bool


@dataclass(frozen=True)
class Fit:
    """Whether a target has the memory for a model, apart from its code and stack."""

    target: str
    machine: str | None
    fits: bool


@dataclass(frozen=True)
class Inspection:
    """A model file, looked at."""

    model: str
    description: str
    file_bytes: int
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    layers: list[LayerInfo]
    macs: int
    weight_bytes: int
    arena_bytes: int | None  # None where the model cannot be compiled
    unsupported: list[Finding]
    targets: list[Fit]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def inspect_model(path: Path) -> Inspection:
    """Loads a model and says what is in it, what is unsupported and where it fits.

    Raises ModelError for damaged files.
    """
    graph = load_file(path)
    problems = findings(fold_constants(graph))
    layers = [layer(graph, node, problems) for node in graph.nodes]
    planned = None if problems else planned_or_none(graph)
    weights = sum(t.nbytes for t in graph.tensors.values() if t.data is not None)
    return Inspection(
        graph.name, graph.description, path.stat().st_size, [tensor_info(graph[n]) for n in graph.inputs],
        [tensor_info(graph[n]) for n in graph.outputs], layers, sum(entry.macs or 0 for entry in layers), weights,
        planned.arena_bytes if planned else None, problems, fits(planned) if planned else [],
    )  # fmt: skip


def planned_or_none(graph: Graph) -> Plan | None:
    try:
        return plan(lower(graph))
    except Unsupported:
        return None


def layer(graph: Graph, node: Node, problems: list[Finding]) -> LayerInfo:
    call = Call.of(graph, node)
    supported = not any(p.node == node.name and p.op == node.op for p in problems)
    constants = [t for t in call.inputs if t is not None and t.data is not None]
    op = ops.table().get(node.op)
    macs = op.macs(call) if op is not None and supported else None
    moving = [tensor_info(t) for t in call.inputs if t is not None and t.data is None]
    return LayerInfo(
        node.name, node.op, node.version, moving, tensor_info(call.y), macs, sum(t.nbytes for t in constants), supported
    )


def tensor_info(t: Tensor) -> dict[str, Any]:
    info: dict[str, Any] = {"name": t.name, "dtype": t.type_name, "shape": list(t.shape)}
    if t.quant is not None:
        info["scale"] = t.quant.scale[0] if t.quant.per_tensor else list(t.quant.scale)
        info["zero_point"] = t.quant.zero_point[0]
    return info


def fits(planned: Plan) -> list[Fit]:
    """For each target, the first machine whose flash and RAM hold constants and arena."""
    weights = sum(t.nbytes for t in planned.graph.tensors.values() if t.data is not None)
    result = []
    for name in targets.names():
        target = targets.load(name)
        machine = next(
            (
                e.machine
                for e in target.emulators
                if weights < e.flash.size and planned.arena_bytes + e.stack < e.ram.size
            ),
            None,
        )
        result.append(Fit(name, machine, machine is not None or not target.emulators))
    return result
