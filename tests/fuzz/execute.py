"""Compiles accepted inputs with the sanitizers, runs them, and compares with the numpy reference."""

from __future__ import annotations

import re
import resource
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fuzz.corpus import ROOT
from fuzz.judge import Finding, TooSlow, innermost, limited, multiply_accumulates, planned
from tinsmith import emit
from tinsmith.graph import Array, Graph, Tensor
from tinsmith.interpret import interpret
from tinsmith.passes.fold_constants import drop_shape_inputs

CORE = ROOT / "firmware" / "core"
SANITIZE = "-fsanitize=address,undefined,float-divide-by-zero,float-cast-overflow -fno-sanitize-recover=all"
CFLAGS = [
    "gcc",
    "-std=c99",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-pedantic",
    "-Werror",
    *SANITIZE.split(),
    f"-I{CORE}",
]
MOST_BYTES = 1 << 16  # of the model file and of its activations
MOST_WORK = 1 << 22  # multiply-accumulates of one run in numpy
RUN_SECONDS = 20.0

DRIVER = Path(__file__).with_name("driver.c")


@dataclass(frozen=True)
class Candidate:
    """An accepted input that waits to be run."""

    index: int
    data: bytes
    graph: Graph


def worth_running(graph: Graph, data: bytes) -> bool:
    """Whether a run, in numpy too, is a matter of milliseconds."""
    activations = sum(t.nbytes for t in graph.activations())
    return len(data) <= MOST_BYTES and activations <= MOST_BYTES and multiply_accumulates(graph) <= MOST_WORK


def kernels(folder: Path) -> list[str]:
    """Compiles all kernels into a folder; returns the object files."""
    objects = []
    for source in (CORE / "ops", CORE / "arch" / "rows"):
        place, files = folder / source.name, sorted(source.glob("*.c"))
        place.mkdir()
        subprocess.run([*CFLAGS, "-c", *map(str, files)], cwd=place, check=True, capture_output=True, text=True)
        objects += [str(place / f"{file.stem}.o") for file in files]
    return objects


class Bench:
    """Builds and runs batches of candidates in a temporary folder of its own."""

    def __init__(self, objects: Sequence[str]) -> None:
        self.objects = objects
        self.folder = tempfile.TemporaryDirectory(prefix="tinsmith-fuzz-")
        self.path = Path(self.folder.name)
        self.rng = np.random.default_rng(0)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exception: object) -> None:
        self.folder.cleanup()

    def run(self, batch: Sequence[Candidate]) -> Iterator[Finding]:
        """Findings of a batch: one executable holds all its models."""
        with unlimited_memory():
            try:
                program = self.build([f"m{i}" for i in range(len(batch))], batch)
            except subprocess.CalledProcessError as error:
                if len(batch) > 1:
                    for candidate in batch:
                        yield from self.run([candidate])
                else:
                    yield finding("compiler", batch[0], first_line(error.stderr), error.stderr)
                return
        for i, candidate in enumerate(batch):
            found = self.compare(program, i, candidate)
            if found is not None:
                yield found

    def build(self, names: Sequence[str], batch: Sequence[Candidate]) -> Path:
        for name, candidate in zip(names, batch, strict=True):
            for file, text in emit.linked(planned(candidate.graph), name).items():
                (self.path / file).write_text(text)
        externs = "".join(f"extern const tin_model {name}_model;\n" for name in names)
        models = ", ".join(f"&{name}_model" for name in names)
        text = f"{externs}static const tin_model *const models[] = {{ {models} }};\n"
        (self.path / "models.h").write_text(text)
        program = self.path / "program"
        sources = [f"{name}.c" for name in names]
        command = [*CFLAGS, "-I.", str(DRIVER), *sources, *self.objects, "-o", str(program)]
        subprocess.run(command, cwd=self.path, check=True, capture_output=True, text=True)
        return program

    def compare(self, program: Path, number: int, candidate: Candidate) -> Finding | None:
        """Runs one model of the program on a few inputs; the finding, if there is one."""
        graph = candidate.graph
        samples = list(extreme_inputs(graph, self.rng))
        try:
            with limited(RUN_SECONDS):
                # What only computes the shape of a view may be unsupported: it is dropped before anything is compiled.
                needed = drop_shape_inputs(graph).pruned()
                expected = [reference(needed, sample) for sample in samples]
        except TooSlow:
            return None
        except Exception as error:
            return finding("reference", candidate, f"{type(error).__name__} in {innermost(error)}", repr(error))
        request = struct.pack("<I", len(samples)) + b"".join(x.tobytes() for sample in samples for x in sample)
        with unlimited_memory():
            done = subprocess.run([program, str(number)], input=request, capture_output=True, timeout=60)
        if done.returncode:
            text = done.stderr.decode("utf-8", "replace")
            return finding("sanitizer", candidate, sanitizer_place(text), text)
        return difference(candidate, samples, expected, done.stdout)


def reference(graph: Graph, sample: Sequence[Array]) -> bytes:
    """The bytes of all outputs."""
    values = interpret(graph, sample)
    return b"".join(np.ascontiguousarray(values[name]).tobytes() for name in graph.outputs)


def difference(
    candidate: Candidate, samples: Sequence[Sequence[Array]], expected: Sequence[bytes], out: bytes
) -> Finding | None:
    """The first output byte that the reference does not confirm."""
    ops = "+".join(dict.fromkeys(n.op for n in candidate.graph.nodes))
    if len(out) != sum(map(len, expected)):
        return finding("difference", candidate, ops, f"{len(out)} bytes of output, not {sum(map(len, expected))}")
    start = 0
    for sample, want in zip(samples, expected, strict=True):
        got = out[start : start + len(want)]
        start += len(want)
        if got != want:
            at = next(i for i, (a, b) in enumerate(zip(got, want, strict=True)) if a != b)
            text = f"output byte {at} is {got[at]}, the reference says {want[at]}; "
            return finding("difference", candidate, ops, text + f"inputs {[x.tolist() for x in sample]}"[:2000])
    return None


def extreme_inputs(graph: Graph, rng: np.random.Generator) -> Iterator[list[Array]]:
    """Inputs at the ends of their types, and random ones."""
    tensors = [graph[name] for name in graph.inputs]
    for kind in ("low", "high", "mixed", "random", "random"):
        yield [values(t, kind, rng) for t in tensors]


def values(t: Tensor, kind: str, rng: np.random.Generator) -> Array:
    if t.dtype.kind == "f":
        special = np.array([np.inf, -np.inf, np.nan, 0, -0.0, 1e-45, 3e38, -3e38, 0.5, -1], t.dtype)
        ends = {"low": special[1:2], "high": special[:1], "mixed": special}.get(kind)
        scale = 10.0 ** rng.uniform(-3, 3)
        return (rng.normal(0, scale, t.shape) if ends is None else rng.choice(ends, t.shape)).astype(t.dtype)
    info = np.iinfo(t.dtype) if t.dtype.kind in "iu" else np.iinfo(np.uint8)
    limits = {"low": [info.min], "high": [info.max], "mixed": [info.min, info.max]}.get(kind)
    drawn = rng.integers(info.min, info.max, t.shape, endpoint=True) if limits is None else rng.choice(limits, t.shape)
    return np.asarray(drawn).astype(t.dtype)


def finding(kind: str, candidate: Candidate, where: str, text: str) -> Finding:
    return Finding(kind, where, text, candidate.data, candidate.index)


def first_line(text: str) -> str:
    """What a compiler complains about, without the numbers that differ from model to model."""
    line = next((line for line in text.splitlines() if "error" in line), text[:100])
    return re.sub(r"[0-9]+", "N", line.partition("error:")[2] or line)


def sanitizer_place(text: str) -> str:
    """The line of a report that says what and where."""
    lines = text.splitlines()
    found = [line for line in lines if "runtime error" in line or "SUMMARY" in line] or lines or ["no report"]
    return found[0].rpartition("firmware/core/")[2][:160]


@contextmanager
def unlimited_memory() -> Iterator[None]:
    """The address sanitizer reserves terabytes, which the limit of a worker would forbid."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
