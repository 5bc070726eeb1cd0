"""Kernels for plain 32-bit cores compute any rows, from rings, over their own input, and within their memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator
from test_kernels_word import convolutions, dense, depthwises, overlapping, some
from test_rows import Layout, ring_sizes

from tinsmith import ops, targets, toolchain
from tinsmith.graph import Graph
from tinsmith.host_kernels import Arena, Bound, Kernels, View, bind
from tinsmith.ops import Op
from tinsmith.passes import lower

NAMES = sorted(name for arch, name in ops.special_kernels() if arch == "word")


def build(folder: Path, sanitize: bool = False) -> Path:
    """The kernels as a shared library."""
    core = toolchain.FIRMWARE / "core"
    sources = sorted((core / "arch" / "word").glob("*.c"))
    built = toolchain.build(
        targets.load("host"), sources, [core], folder / "word.so", kind="shared", optimize="-O1", instrument="none",
        sanitize=sanitize,
    )  # fmt: skip
    return built.output


@cache
def library(folder: Path) -> Kernels:
    return Kernels(build(folder))


@pytest.fixture
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return library(tmp_path_factory.getbasetemp())


def graphs(name: str, rng: Generator, count: int) -> list[Graph]:
    """Shapes of models, and the op's own examples."""
    made: list[Graph] = []
    if name == "CONV_2D":
        made = convolutions(rng) + overlapping(rng)
    elif name == "DEPTHWISE_CONV_2D":
        made = depthwises(rng)
    elif name == "FULLY_CONNECTED":
        made = [dense(rng, 5, 24, 7, "narrow"), dense(rng, 1, 640, 9, "narrow"), dense(rng, 2, 1200, 4, "narrow")]
    # Few random poolings have a multiple of four channels.
    return made + some(ops.find(name), rng, count * (5 if name == "AVERAGE_POOL_2D" else 1))


def layouts(name: str, seed: int, count: int = 40) -> Iterator[tuple[Layout, Op]]:
    """Calls that the kernel takes, each lowered and alone."""
    rng = np.random.default_rng(seed)
    for graph in graphs(name, rng, count):
        lowered = lower(graph)
        if [node.op for node in lowered.nodes] == [name]:
            layout = Layout(ops.find(name), lowered, rng)
            kernel = ops.select(layout.call, ("word",))
            if kernel.arch:
                yield layout, kernel


def bound_at(layout: Layout, op: Op, views: Sequence[View], out: View) -> tuple[Bound, int]:
    """The call, its scratch behind everything else, and the bytes that all takes."""
    scratch = -(-max(out.offset + out.count * out.stride, layout.end(views)) // 4) * 4
    end = scratch + op.scratch_bytes(layout.call)
    return bind(layout.call, views, out, scratch, op), end


def check(kernels: Kernels, layout: Layout, op: Op, views: Sequence[View], out: View, step: int) -> None:
    """The output must be right, computed `step` rows a call in an arena that holds not a byte more."""
    bound, end = bound_at(layout, op, views, out)
    arena = Arena(end)
    arena.bytes[:] = layout.rng.integers(0, 256, end)
    layout.fill(arena, views)
    for row in range(0, layout.out_rows, step):
        kernels.run(bound, arena, row, min(row + step, layout.out_rows))
    arena.check()
    expected = np.frombuffer(layout.expected.tobytes(), np.uint8)
    found = arena.bytes[out.offset : out.offset + expected.size]
    assert (found == expected).all(), (
        f"{op.kernel}, {step} rows a call: {layout.call.node.attrs}, {layout.call.x.shape}"
    )


def check_steps(kernels: Kernels, name: str, seed: int) -> int:
    """All layouts in pieces of one, two and all rows; how many had several rows."""
    several = 0
    for layout, op in layouts(name, seed):
        views = layout.whole_views(-(-layout.out_rows * layout.out_bytes // 4) * 4)
        for step in {1, 2, layout.out_rows}:
            check(kernels, layout, op, views, layout.output(), step)
        several += layout.out_rows > 1
    return several


@pytest.mark.parametrize("name", NAMES)
def test_rows_in_pieces_are_the_whole(name: str, kernels: Kernels) -> None:
    assert check_steps(kernels, name, 20) > 3


@pytest.mark.parametrize("name", NAMES)
def test_outputs_may_lie_over_inputs_as_far_as_declared(name: str, kernels: Kernels) -> None:
    tried = 0
    for layout, op in layouts(name, 21):
        for position, index in enumerate(layout.indices):
            separation = op.separation(layout.call, index)
            if separation is None or layout.call.input(index).data is not None:
                continue
            base = -(-max(0, -separation) // 4) * 4
            aligned = -(-(base + separation) // 4) * 4
            far = max(base + layout.out_rows * layout.out_bytes, aligned + layout.values[position].nbytes)
            views = layout.whole_views(-(-far // 4) * 4)
            views[position] = View(views[position].stride, views[position].count, aligned)
            for step in {1, layout.out_rows}:
                check(kernels, layout, op, views, View(layout.out_bytes, layout.out_rows, base), step)
            tried += 1
    assert tried > 10


@pytest.mark.parametrize("name", NAMES)
def test_inputs_may_be_rings(name: str, kernels: Kernels) -> None:
    smaller = 0
    for layout, op in layouts(name, 22):
        if op.first_input_row(layout.call, layout.indices[0], 0) is None:
            continue
        for size in {0, 1}:
            sizes = [min(n + size, layout.rows(i)[0]) for i, n in enumerate(ring_sizes(layout))]
            from_rings(kernels, layout, op, sizes)
            smaller += any(n < layout.rows(i)[0] for i, n in enumerate(sizes))
    assert smaller > 3 or name == "FULLY_CONNECTED"


def from_rings(kernels: Kernels, layout: Layout, op: Op, sizes: Sequence[int]) -> None:
    """Computes row by row, the output being a ring of one; each input row enters its ring just before it is needed."""
    start, views, written = -(-layout.out_bytes // 4) * 4, [], [0] * len(sizes)
    for position, size in enumerate(sizes):
        stride = layout.rows(position)[1]
        views.append(View(stride, size, start))
        start = -(-(start + stride * size) // 4) * 4
    bound, end = bound_at(layout, op, views, View(layout.out_bytes, 1, 0))
    arena, lasts = Arena(end), [layout.last(position) for position in range(len(sizes))]
    expected = np.frombuffer(layout.expected.tobytes(), np.uint8).reshape(layout.out_rows, -1)
    for row in range(layout.out_rows):
        for position, view in enumerate(views):
            flat = np.frombuffer(layout.values[position].tobytes(), np.uint8).reshape(-1, view.stride)
            for r in range(written[position], lasts[position][row] + 1):
                arena.put(view.offset + r % view.count * view.stride, flat[r])
            written[position] = max(written[position], lasts[position][row] + 1)
        kernels.run(bound, arena, row, row + 1)
        arena.check()
        assert (arena.bytes[: layout.out_bytes] == expected[row]).all(), f"{op.kernel}, row {row} from {sizes}"


def sanitized(path: str) -> None:
    """Run in a process of its own: what the kernels read and write, watched by sanitizers."""
    kernels = Kernels(Path(path))
    for name in NAMES:
        check_steps(kernels, name, 23)


def test_kernels_stay_within_their_memory(tmp_path: Path) -> None:
    folders = [str(Path(__file__).parent), str(Path(toolchain.__file__).parents[1])]
    environment = {
        **os.environ, **toolchain.sanitizer_environment(targets.load("host")),
        "PYTHONPATH": os.pathsep.join(folders), "PYTHONMALLOC": "malloc",
    }  # fmt: skip
    script = f"import test_kernels_word_rows as t; t.sanitized({str(build(tmp_path, sanitize=True))!r})"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
