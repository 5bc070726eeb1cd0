"""The table of ops: every module in this folder that does not begin with an underscore holds some.

Adding an op means adding a file here and its kernel in firmware/core/ops/; nothing else lists them.
A kernel for a special instruction set is a file in tools/tinsmith/arch/<arch>/ and one in firmware/core/arch/<arch>/.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from ..graph import Graph
from .base import LEAN, ROWS, Call, Op
from .tensors import Shape

__all__ = [
    "Call",
    "Op",
    "Shape",
    "all_special_kernels",
    "choose",
    "efforts",
    "find",
    "lean_form",
    "row_form",
    "select",
    "special_kernels",
    "table",
]


@cache
def table() -> Mapping[str, Op]:
    """All ops by name, in alphabetical order. Each is also its own portable kernel."""
    return {op.name: op for op in sorted(classes(__name__), key=lambda op: op.name)}


@cache
def all_special_kernels() -> Mapping[tuple[str, str, str], Op]:
    """What the modules of tools/tinsmith/arch/<arch>/ define, by (arch, op name, purpose)."""
    folder = importlib.import_module(f"{__package__.rpartition('.')[0]}.arch")
    found = {}
    for info in pkgutil.iter_modules(folder.__path__):
        if info.ispkg:
            for op in classes(f"{folder.__name__}.{info.name}"):
                if op.arch == info.name:
                    found[op.arch, op.name, op.purpose] = op
    return dict(sorted(found.items()))


def special_kernels(purpose: str = "") -> Mapping[tuple[str, str], Op]:
    """Kernels of one purpose for special instruction sets, by (arch, op name)."""
    return {(arch, name): op for (arch, name, own), op in all_special_kernels().items() if own == purpose}


def row_form(call: Call, kernel: Op) -> Op:
    """The kernel that runs a call instead of `kernel` where its input is streamed."""
    for arch in (kernel.arch, "rows") if not kernel.purpose else ():
        found = all_special_kernels().get((arch, call.node.op, ROWS))
        if found is not None and found.suits(call):
            return found
    return kernel


def lean_form(call: Call, kernel: Op) -> Op:
    """The kernel that runs a call instead of `kernel` where scratch is dear."""
    found = all_special_kernels().get((kernel.arch, call.node.op, LEAN))
    return found if found is not None and found.suits(call) else kernel


def classes(package: str) -> list[Op]:
    """One instance of each op class that a module of the package defines by itself."""
    found = []
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if info.name.startswith("_") or info.name == "base":
            continue
        module = importlib.import_module(f"{package}.{info.name}")
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, Op) and member.__module__ == module.__name__:
                found.append(member())
    return found


def find(name: str) -> Op:
    """The op of that name; KeyError if there is none."""
    return table()[name]


def choose(graph: Graph, arch: Sequence[str], least_share: float = 0.0) -> dict[str, Op]:
    """The kernel of each node, by the name of its (first) output.

    Ops with less than `least_share` of the model's effort run portable kernels: fast ones would cost flash for nothing.
    """
    calls = [Call.of(graph, node) for node in graph.nodes]
    effort = efforts(graph)
    least = least_share * effort.total()
    return {call.y.name: select(call, arch if effort[call.node.op] >= least else ()) for call in calls}


def efforts(graph: Graph) -> Counter[str]:
    """The effort of all nodes of an op, by its name: see Op.effort."""
    found: Counter[str] = Counter()
    for node in graph.nodes:
        found[node.op] += find(node.op).effort(Call.of(graph, node))
    return found


def select(call: Call, arch: Sequence[str]) -> Op:
    """The kernel that runs a call: that of the first arch which has one that suits, else the portable one."""
    for name in arch:
        kernel = all_special_kernels().get((name, call.node.op, ""))
        if kernel is not None and kernel.suits(call):
            return kernel
    return find(call.node.op)
