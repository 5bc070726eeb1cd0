"""Runs built models: on this computer through ctypes, or in an emulator."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from . import emulate, toolchain
from .errors import TargetError
from .graph import Array, Graph, Tensor
from .pipeline import Compiled, build_model
from .plan.schedule import FEED

Values = Sequence[Array]  # one array for each input or output of the model, in its order


class Runner(Protocol):
    """A built model that computes."""

    def run(self, samples: Sequence[Values]) -> list[list[Array]]:
        """The outputs for each sample. Arrays have the model's own shapes and types."""

    def snapshots(self, sample: Values) -> Sequence[bytes]:
        """The arena after each call of a kernel."""

    def trace(self, sample: Values) -> dict[str, Array]:
        """What each node wrote, by tensor name, seen just after it was written."""


@contextmanager
def runner(compiled: Compiled, *, sanitize: bool = False) -> Iterator[Runner]:
    """Builds the model for its target in a temporary folder and yields what runs it there."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as folder:
        built = build_model(compiled, Path(folder), sanitize=sanitize)
        yield EmulatedRunner(compiled, built) if compiled.target.emulators else HostRunner(compiled, built)


def split(data: bytes, graph: Graph, names: Sequence[str]) -> list[Array]:
    """Arrays out of their concatenated bytes."""
    result, at = [], 0
    for tensor in (graph[n] for n in names):
        result.append(np.frombuffer(data, tensor.dtype, tensor.size, at).reshape(tensor.shape))
        at += tensor.nbytes
    return result


def node_outputs(compiled: Compiled, arenas: Sequence[bytes]) -> dict[str, Array]:
    """Each node's output, row by row from the arena as it was after each call of a kernel.

    Tensors of which some rows are needed by nobody, and so not computed, are left out.
    """
    plan = compiled.plan
    result = {node.outputs[0]: np.zeros(plan.graph[node.outputs[0]].nbytes, np.uint8) for node in compiled.nodes}
    missing = {name: len(data) for name, data in result.items()}
    for run, arena in zip((r for r in plan.runs if r.node != FEED), arenas, strict=True):
        task = plan.tasks[run.node]
        for row in task.completed(run.first, run.end):
            start, end = plan.row_range(task.buffer, row)
            size = end - start
            result[task.call.y.name][size * row : size * (row + 1)] = np.frombuffer(arena[start:end], np.uint8)
            missing[task.call.y.name] -= size
    return {name: typed(data, plan.graph[name]) for name, data in result.items() if not missing[name]}


def typed(data: Array, tensor: Tensor) -> Array:
    """Bytes as the values of a tensor."""
    return data.view(tensor.dtype).reshape(tensor.shape)


class EmulatedRunner:
    """Runs a model in an emulator."""

    def __init__(self, compiled: Compiled, built: toolchain.Built, timeout: float = 600.0) -> None:
        self.compiled, self.built, self.timeout = compiled, built, timeout

    def run(self, samples: Sequence[Values]) -> list[list[Array]]:
        graph = self.compiled.plan.graph
        response = emulate.run(self.built, [joined(s) for s in samples], timeout=self.timeout)
        return [split(data, graph, graph.outputs) for data in response.outputs]

    def snapshots(self, sample: Values) -> Sequence[bytes]:
        response = emulate.run(self.built, [joined(sample)], trace=True, timeout=self.timeout)
        assert response.traces is not None
        return response.traces[0]

    def trace(self, sample: Values) -> dict[str, Array]:
        return node_outputs(self.compiled, self.snapshots(sample))


def joined(values: Values) -> bytes:
    return b"".join(np.ascontiguousarray(v).tobytes() for v in values)


ROW_SOURCE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p)  # tin_row_source
GUARD = 64  # bytes behind the arena that a run must leave alone


class HostRunner:
    """Runs a model on this computer, through ctypes."""

    def __init__(self, compiled: Compiled, built: toolchain.Built) -> None:
        self.compiled = compiled
        try:
            self.library = ctypes.CDLL(str(built.output))
        except OSError as error:
            raise TargetError(f"{built.output.name} cannot be loaded: {error}") from None
        self.arena_bytes = compiled.plan.arena_bytes
        self.memory = np.zeros(self.arena_bytes + GUARD, np.uint8)
        spans = [(m.start, m.end) for m in compiled.plan.memories] or [(0, self.arena_bytes)]
        self.model = (ctypes.c_void_p * len(spans))()
        memories = [(ctypes.c_void_p(self.memory.ctypes.data + a), ctypes.c_size_t(b - a)) for a, b in spans]
        status = self.function("open")(ctypes.byref(self.model), *(part for memory in memories for part in memory))
        if status:
            raise TargetError(f"{compiled.name}_open returned {status}")

    def function(self, suffix: str) -> Any:
        return getattr(self.library, f"{self.compiled.name}_{suffix}")

    def run(self, samples: Sequence[Values]) -> list[list[Array]]:
        return [self.run_one(sample) for sample in samples]

    def run_one(self, sample: Values, before_row: Callable[[], None] = lambda: None) -> list[Array]:
        """The outputs. `before_row` is called before each row of an input that comes row by row."""
        graph, fed = self.compiled.plan.graph, self.compiled.plan.fed
        self.memory[self.arena_bytes :] = 0xA5
        for name, value in zip(graph.inputs, sample, strict=True):
            if name not in fed:
                self.view(name)[:] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        if fed:
            self.run_rows(joined(sample), before_row)
        else:
            self.function("run")(ctypes.byref(self.model))
        if (self.memory[self.arena_bytes :] != 0xA5).any():
            raise TargetError(f"{self.compiled.name} wrote behind its arena of {self.arena_bytes} bytes")
        return split(b"".join(self.view(n).tobytes() for n in graph.outputs), graph, graph.outputs)

    def run_rows(self, data: bytes, before_row: Callable[[], None]) -> None:
        """Feeds an input as the model asks for it; each row goes where the model says."""
        plan = self.compiled.plan
        nbytes = plan.sizes[plan.fed[0]][1]

        def source(_: int | None, row: int, to: int) -> None:
            before_row()
            ctypes.memmove(to, data[row * nbytes : (row + 1) * nbytes], nbytes)

        callback = ROW_SOURCE(source)
        self.function("run_rows")(ctypes.byref(self.model), callback, None)

    def view(self, name: str) -> Array:
        """The bytes of a tensor in the arena."""
        start = self.compiled.plan.offset(name)
        return self.memory[start : start + self.compiled.plan.graph[name].nbytes]

    def snapshots(self, sample: Values) -> Sequence[bytes]:
        arenas: list[bytes] = []
        computed = False  # whether a kernel has run since the last snapshot

        def look() -> None:
            nonlocal computed
            if computed:
                arenas.append(self.memory[: self.arena_bytes].tobytes())
            computed = False

        def on_node(_: int) -> None:
            nonlocal computed
            look()
            computed = True  # as soon as the hook returns

        hook_type = ctypes.CFUNCTYPE(None, ctypes.c_int)
        hook = hook_type(on_node)
        pointer = ctypes.c_void_p.in_dll(self.library, "tin_node_hook")
        pointer.value = ctypes.cast(hook, ctypes.c_void_p).value
        try:
            self.run_one(sample, look)
        finally:
            pointer.value = None
        return arenas

    def trace(self, sample: Values) -> dict[str, Array]:
        return node_outputs(self.compiled, self.snapshots(sample))
