"""The three witnesses of what an op computes: TensorFlow Lite Micro, numpy and the C kernels.

Everything here goes by the table of ops, so an op that is added is judged without an edit.
"""

from __future__ import annotations

import itertools
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator

from tinsmith import ops
from tinsmith.check import findings, verify
from tinsmith.graph import Array, Graph, Tensor
from tinsmith.host_kernels import GUARD_BYTES, Kernels, Program, compile_kernels
from tinsmith.interpret import interpret
from tinsmith.ops import Op
from tinsmith.passes import lower
from tinsmith.plan import plan
from tinsmith.save.tflite import save_tflite

Inputs = list[Array]
WHEEL_ARENA = 1 << 20

ALL_OPS = list(ops.table().values())
KERNEL_OPS = [op for op in ALL_OPS if op.Params is not None]


@cache
def kernels() -> Kernels:
    """All kernels, built once a process; the folder lives as long as the process."""
    folder = tempfile.TemporaryDirectory()
    loaded = Kernels(compile_kernels(Path(folder.name)))
    loaded.folder = folder  # type: ignore[attr-defined]
    return loaded


def generator(op: Op, seed: int = 0) -> Generator:
    """Random numbers that depend on the op's name alone, not on its place in the table."""
    return np.random.default_rng([seed, zlib.crc32(op.name.encode())])


def examples(op: Op, rng: Generator, count: int) -> Iterator[Graph]:
    return itertools.islice(op.examples(rng), count)


def samples(graph: Graph, rng: Generator, count: int) -> Iterator[Inputs]:
    """`count` random inputs of a graph, after its extreme ones."""
    for kind in ("low", "high", "zero point", "alternating", *["random"] * count):
        yield [sample(graph, graph[name], kind, rng) for name in graph.inputs]


def sample(graph: Graph, t: Tensor, kind: str, rng: Generator) -> Array:
    """A value of one input. Floats stay where quantizing them is defined: within 10^6 output steps."""
    if t.dtype == np.float32:
        y = graph[graph.outputs[0]]
        steps = rng.integers(-300, 301, t.shape) / 2 if kind == "alternating" else rng.normal(0, 100, t.shape)
        steps = np.full(t.shape, {"low": -1e6, "high": 1e6, "zero point": 0}.get(kind, 1.0)) * steps
        return np.asarray(steps * y.scale, np.float32)
    info = np.iinfo(t.dtype)
    constant = {"low": info.min, "high": info.max, "zero point": t.zero_point if t.quant else 0}
    if kind in constant:
        return np.full(t.shape, constant[kind], t.dtype)
    if kind == "alternating":
        return np.resize(np.array([info.min, info.max, info.max], t.dtype), t.shape)
    return rng.integers(info.min, info.max, t.shape, t.dtype, endpoint=True)


def judge(model: Graph | bytes, inputs: Sequence[Inputs]) -> list[Inputs]:
    """Outputs of the official TensorFlow Lite Micro runtime. Raises RuntimeError where it refuses the model.

    It may end the whole process on models that break our rules, so those are refused with an AssertionError.
    """
    from tflite_micro.python.tflite_micro import runtime

    assert isinstance(model, bytes) or not findings(model), [str(f) for f in findings(model)]
    blob = model if isinstance(model, bytes) else save_tflite(model)
    interpreter = runtime.Interpreter.from_bytes(blob, arena_size=WHEEL_ARENA)
    count = len(interpreter_outputs(blob))
    results = []
    for values in inputs:
        for i, value in enumerate(values):
            interpreter.set_input(value, i)
        interpreter.invoke()
        results.append([np.array(interpreter.get_output(i)) for i in range(count)])
    return results


def interpreter_outputs(blob: bytes) -> list[int]:
    """Indices of the output tensors of a model file."""
    import tflite

    return [int(i) for i in tflite.Model.GetRootAs(blob).Subgraphs(0).OutputsAsNumpy()]


def numpy_outputs(graph: Graph, inputs: Inputs) -> Inputs:
    values = interpret(graph, inputs)
    return [values[name] for name in graph.outputs]


class Compiled:
    """A lowered graph that runs on the C kernels. Constant outputs, as ops on shapes have them, stay as they are."""

    def __init__(self, graph: Graph, library: Kernels, guard: int = GUARD_BYTES) -> None:
        self.graph = lower(graph)
        verify(self.graph)
        self.constants = [self.graph[name].data for name in graph.outputs]
        folded = any(c is not None for c in self.constants)
        self.program = None if folded else Program(plan(self.graph), library, guard)

    def run(self, inputs: Inputs) -> Inputs:
        if self.program is None:
            return [c for c in self.constants if c is not None]
        return self.program.run(inputs)


def equal(found: Inputs, expected: Inputs) -> bool:
    """Whether all arrays are equal in type, shape and every bit."""
    pairs = zip(found, expected, strict=True)
    return all((a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in pairs)


def disagreement(graph: Graph, who: str, inputs: Inputs, found: Inputs, expected: Inputs) -> str:
    """Text for a failed assertion: what is needed to see the example again."""
    node = graph.nodes[0]
    tensors = [f"{t.name} {t.dtype}{list(t.shape)} {t.quant}" for t in graph.tensors.values()]
    return f"{who}: {node.op} {node.attrs}\n" + "\n".join([*tensors, f"{inputs=}", f"{found=}", f"{expected=}"])


def check_judge(graph: Graph, inputs: Sequence[Inputs], expected: Sequence[Inputs]) -> None:
    """Raises AssertionError where TensorFlow Lite Micro computes something else."""
    for x, y, found in zip(inputs, expected, judge(graph, inputs), strict=True):
        assert equal(found, y), disagreement(graph, "TensorFlow Lite Micro against numpy", x, found, y)


def check_c(compiled: Compiled, graph: Graph, inputs: Sequence[Inputs], expected: Sequence[Inputs]) -> None:
    """Raises AssertionError where the C kernels compute something else."""
    for x, y in zip(inputs, expected, strict=True):
        found = compiled.run(x)
        assert equal(found, y), disagreement(graph, "C against numpy", x, found, y)


def compare(op: Op, count: int, seed: int = 0) -> int:
    """Runs `count` examples of an op past all witnesses; returns how many different output values were seen.

    Raises AssertionError at the first disagreement.
    """
    rng, seen = generator(op, seed), set[float]()
    for graph in examples(op, rng, count):
        inputs = list(samples(graph, rng, 3))
        expected = [numpy_outputs(graph, x) for x in inputs]
        if not op.internal:
            check_judge(graph, inputs, expected)
        check_c(Compiled(graph, kernels()), graph, inputs, expected)
        seen.update(value for y in expected for value in np.unique(y[0]).tolist())
    return len(seen)


def check_within_memory(library: str, count: int) -> None:
    """The C side alone, with arenas and constants that end where their memory ends: for sanitizers."""
    loaded = Kernels(Path(library))
    for op in ALL_OPS:
        rng = generator(op, 1)
        for graph in examples(op, rng, count):
            inputs = list(samples(graph, rng, 3))
            check_c(Compiled(graph, loaded, 0), graph, inputs, [numpy_outputs(graph, x) for x in inputs])
