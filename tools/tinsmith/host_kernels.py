"""The C kernels on this computer: built once as a shared library, called through ctypes.

Parameter structs are made from the same table that writes the C header, so that a new op can be
called without an edit here. Tests judge kernels and whole plans with it, and it needs no generated code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import ops, targets, toolchain
from .graph import Array, Graph, Node, Tensor
from .ops.base import Call, Op
from .ops.params import CType, c_fields
from .plan import TABLE_STRIDE, Plan
from .plan.audit import bytes_read
from .plan.schedule import FEED, Run

GUARD_BYTES = 64  # of a known pattern on either side of an arena
GUARD = 0xA5

_SCALARS: Mapping[str, Any] = {
    "int8_t": ctypes.c_int8, "uint8_t": ctypes.c_uint8, "int16_t": ctypes.c_int16, "int32_t": ctypes.c_int32,
    "float": ctypes.c_float,
}  # fmt: skip


class TinRows(ctypes.Structure):
    """tin_rows of firmware/core/tin_rows.h."""

    _fields_ = [
        ("constant", ctypes.c_void_p),
        ("offset", ctypes.c_uint32),
        ("stride", ctypes.c_int32),
        ("count", ctypes.c_int32),
    ]


@dataclass(frozen=True, eq=False)
class View:
    """Rows of a tensor: in the arena from byte `offset` on, or in a constant array. With offset 1, `constant` is a
    table of the rows' places."""

    stride: int  # bytes from one row to the next
    count: int  # rows held in memory; fewer than the tensor has make a ring
    offset: int = 0
    constant: Array | None = None

    def c(self) -> TinRows:
        address = None if self.constant is None else self.constant.ctypes.data
        return TinRows(address, self.offset, self.stride, self.count)


@cache
def struct_type(op: Op) -> type[ctypes.Structure]:
    """The ctypes twin of the op's C struct, member for member as `emit.core` declares it."""
    assert op.Params is not None
    count = op.runtime_arity
    views = ctypes.POINTER(TinRows) if count is None else TinRows if count == 1 else TinRows * count
    members: list[tuple[str, Any]] = [("in", views), ("out", TinRows)]
    if op.needs_scratch:
        members.append(("scratch", ctypes.c_uint32))
    if op.needs_state:
        members.append(("state", ctypes.c_uint32))
    for name, ctype, _ in c_fields(op.Params):
        members.append((name, ctypes.c_void_p if ctype.pointer else _SCALARS[ctype.name]))
    return type(f"{op.kernel}_params", (ctypes.Structure,), {"_fields_": members})


@dataclass(frozen=True, eq=False)
class Bound:
    """A kernel's parameters, with what their pointers need to stay alive."""

    kernel: str
    struct: ctypes.Structure
    alive: tuple[object, ...]


def bind(
    call: Call, inputs: Sequence[View], out: View, scratch: int = 0, op: Op | None = None, state: int = 0
) -> Bound:
    """The parameters of one node, given where its tensors, scratch and state lie, for its portable kernel or for `op`.

    Raises OverflowError where a value does not fit its C type.
    """
    op = ops.find(call.node.op) if op is None else op
    struct, views = struct_type(op)(), [view.c() for view in inputs]
    alive: list[object] = [*inputs, out]
    if op.runtime_arity == 1:
        setattr(struct, "in", views[0])
    else:
        array = (TinRows * len(views))(*views)
        setattr(struct, "in", array)
        alive.append(array)
    struct.out = out.c()
    if op.needs_scratch:
        struct.scratch = scratch
    if op.needs_state:
        struct.state = state
    params = op.params(call)
    for name, ctype, _ in c_fields(type(params)):
        value = getattr(params, name)
        if ctype.pointer:
            value = np.require(value, ctype.name.removesuffix("_t"), ["C", "A"])
            alive.append(value)
            setattr(struct, name, value.ctypes.data)
        else:
            setattr(struct, name, checked(value, ctype, f"{call.node.name!r}: {name}"))
    return Bound(op.kernel, struct, tuple(alive))


def checked(value: Any, ctype: CType, where: str) -> Any:
    """The value as Python int or float: ctypes would cut off what does not fit."""
    if ctype.name == "float":
        return float(value)
    info = np.iinfo(ctype.name.removesuffix("_t"))
    if not info.min <= int(value) <= info.max:
        raise OverflowError(f"{where} is {value}, which does not fit {ctype.name}")
    return int(value)


class Arena:
    """Aligned memory between two guards; `check` sees whether a kernel wrote beyond."""

    def __init__(self, nbytes: int, guard: int = GUARD_BYTES) -> None:
        memory = np.full(nbytes + 2 * guard, GUARD, np.uint8)
        assert memory.ctypes.data % 4 == 0 and guard % 4 == 0
        self.memory, self.nbytes, self.guard = memory, nbytes, guard
        self.bytes = memory[guard : guard + nbytes]

    def put(self, offset: int, value: Array) -> None:
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        self.bytes[offset : offset + data.size] = data

    def get(self, offset: int, tensor: Tensor) -> Array:
        data = self.bytes[offset : offset + tensor.nbytes].copy()
        return data.view(tensor.dtype).reshape(tensor.shape)

    def check(self) -> None:
        """Raises AssertionError if a guard was touched."""
        outside = np.concatenate([self.memory[: self.guard], self.memory[self.guard + self.nbytes :]])
        assert (outside == GUARD).all(), "a kernel wrote outside the arena"


class Kernels:
    """The kernels of a shared library."""

    def __init__(self, library: Path) -> None:
        self.path = library
        self.library = ctypes.CDLL(str(library))

    def run(self, bound: Bound, arena: Arena, row: int, end: int) -> None:
        """Computes the output rows [row, end)."""
        function = getattr(self.library, bound.kernel)
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32]
        function.restype = None
        function(ctypes.byref(bound.struct), arena.bytes.ctypes.data, row, end)


def compile_kernels(folder: Path, sanitize: bool = False, optimize: str = "-O1") -> Path:
    """Compiles every kernel that is portable C into a shared library in `folder`; see toolchain.build for `sanitize`.

    Raises TargetError if a kernel does not compile without warnings.
    """
    core = toolchain.FIRMWARE / "core"
    sources = [path for part in ("ops", "arch/rows") for path in sorted((core / part).glob("*.c"))]
    built = toolchain.build(
        targets.load("host"), sources, [core], folder / "kernels.so", kind="shared", optimize=optimize,
        instrument="none", sanitize=sanitize,
    )  # fmt: skip
    return built.output


class Program:
    """A plan that is ready to run: every node bound to its place in an arena of exactly the plan's size."""

    def __init__(self, plan: Plan, kernels: Kernels, guard: int = GUARD_BYTES) -> None:
        self.plan, self.kernels = plan, kernels
        self.arena = Arena(plan.arena_bytes, guard)
        graph, self.runs = plan.graph, [run for run in plan.runs if run.node != FEED]
        bound = {index: self.bind(graph, graph.nodes[index]) for index in dict.fromkeys(run.node for run in self.runs)}
        self.bound = bound

    def bind(self, graph: Graph, node: Node) -> Bound:
        """The parameters of a node."""
        call, op = Call.of(graph, node), self.plan.kernel(node)
        inputs = [self.view(call, op, call.input(i)) for i in op.runtime_inputs(call)]
        scratch = self.plan.scratch_offset(node) if op.scratch_bytes(call) else 0
        state = self.plan.state_offset(node) if op.needs_state else 0
        return bind(call, inputs, self.view(call, op, call.y), scratch, op, state)

    def view(self, call: Call, op: Op, tensor: Tensor) -> View:
        count, stride = op.rows(call, tensor)
        if tensor.data is not None:
            return View(stride, count, constant=np.require(tensor.data, None, ["C", "A"]))
        table = self.plan.row_table(tensor.name)
        if table is not None:
            return View(TABLE_STRIDE, 1, 1, table)
        return View(stride, self.plan.rows_held(tensor.name, count), self.plan.offset(tensor.name))

    def run(self, inputs: Sequence[Array], expected: Mapping[str, Array] | None = None) -> list[Array]:
        """The model's outputs for its inputs, both in order.

        With the `expected` values of all tensors, every row is compared just before it is read: outputs may be right by
        chance. Raises AssertionError if a row is wrong, or a guard was touched.
        """
        graph = self.plan.graph
        self.arena.bytes[:] = np.random.default_rng(len(self.runs)).integers(0, 256, self.arena.nbytes)
        for name, value in zip(graph.inputs, inputs, strict=True):
            self.arena.put(self.plan.offset(name), value)
        for run in self.runs:
            if expected is not None:
                self.compare(run, expected)
            self.kernels.run(self.bound[run.node], self.arena, run.first, run.end)
        self.arena.check()
        return [self.arena.get(self.plan.offset(name), graph[name]) for name in graph.outputs]

    def compare(self, run: Run, expected: Mapping[str, Array]) -> None:
        """Whether all that a run reads holds what it should."""
        task = self.plan.tasks[run.node]
        for read in task.reads:
            values = np.frombuffer(expected[read.buffer].tobytes(), np.uint8)
            for start, end, place in bytes_read(self.plan, task, read, range(run.first, run.end)):
                right = self.arena.bytes[start:end] == values[place : place + end - start]
                assert right.all(), f"{run} reads wrong bytes from {place} of {read.buffer}"
