"""Kernels that consume their input row by row are right in any steps, from rings, and whatever lay in memory before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import parity
import pytest
import rows_firmware
from numpy.random import Generator
from parity import Inputs

from tinsmith import ops, targets, toolchain
from tinsmith.graph import Array, Graph, Tensor
from tinsmith.host_kernels import Arena, Bound, Kernels, View, bind, compile_kernels
from tinsmith.ops import Call, Op
from tinsmith.ops._examples import ACTIVATIONS, example, quantized, random_ratio, single
from tinsmith.ops._pool import PoolAttrs
from tinsmith.ops._weighted import random_weights
from tinsmith.ops.base import ROWS
from tinsmith.ops.mean import Mean
from tinsmith.ops.tensors import image_rows
from tinsmith.passes import lower

NAMES = sorted(name for arch, name in ops.special_kernels(ROWS) if arch == "rows")
EXAMPLES = 60
# The most values whose sums fit 16 bits are 256, and 257 where channels come in fours.
IMAGES = [
    (5, 5, 64), (25, 5, 8), (8, 8, 4), (3, 11, 13), (2, 1, 1),
    (16, 16, 3), (256, 1, 5), (257, 1, 5), (257, 1, 4), (43, 6, 4), (17, 16, 6),
]  # fmt: skip


def pools(rng: Generator) -> Iterator[Graph | None]:
    """Windows as high as images or higher, and as wide as they like."""
    for number in range(EXAMPLES):
        h, w, c = IMAGES[number] if number < len(IMAGES) else (int(n) for n in rng.integers((2, 1, 1), (13, 13, 19)))
        whole, padding = number < len(IMAGES) or rng.random() < 0.4, str(rng.choice(["SAME", "VALID"]))
        higher = int(rng.integers(0, h)) if padding == "SAME" and not whole else 0
        attrs = PoolAttrs(
            padding, int(rng.integers(1, 4)) if not whole else w, h, w if whole else int(rng.integers(1, w + 1)),
            h + higher, str(rng.choice(ACTIVATIONS)),
        )  # fmt: skip
        x = quantized(rng, "x", (1, h, w, c))
        yield single(ops.find("AVERAGE_POOL_2D"), attrs, [x], replace(x, name="y"))


def means(rng: Generator) -> Iterator[Graph | None]:
    """Means over rows, over rows and columns, and over everything."""
    for number in range(EXAMPLES):
        h, w, c = IMAGES[number] if number < len(IMAGES) else (int(n) for n in rng.integers((2, 1, 1), (13, 13, 19)))
        axes = [(1, 2), (1,), (0, 1, 2), (1, 2, 3), (-3, -2)][number % 5 if number >= len(IMAGES) else 0]
        axis = Tensor("axis", (len(axes),), np.dtype(np.int32), None, np.array(axes, np.int32))
        x = quantized(rng, "x", (1, h, w, c))
        y = quantized(rng, "y", (1,), scale=x.scale * (1 if number % 2 else random_ratio(rng)))
        yield single(ops.find("MEAN"), Mean.Attrs(keep_dims=bool(number % 3)), [x, axis], y)


def layers(rng: Generator) -> Iterator[Graph | None]:
    """Fully connected layers that read an image, with every number of channels left over by blocks of four."""
    op = ops.find("FULLY_CONNECTED")
    for number in range(EXAMPLES):
        h, w, c = (25, 20, 8) if number == 0 else (int(n) for n in rng.integers((2, 1, 1), (9, 8, 9)))
        units = 4 if number == 0 else 1 + number % 13
        shape = (1, h, w, c) if number % 4 else (h, w, c)
        attrs = op.Attrs(fused_activation_function=str(rng.choice(ACTIVATIONS)))
        weights = random_weights(rng, (units, h * w * c))
        yield example(op, rng, quantized(rng, "x", shape), weights, attrs, bool(number % 2))


GRAPHS = {"AVERAGE_POOL_2D": pools, "MEAN": means, "FULLY_CONNECTED": layers}


def calls(name: str, seed: int) -> Iterator[tuple[Graph, Call, Op]]:
    """Lowered graphs of one call, with the kernel that the planner would choose; all must have one."""
    found = 0
    for graph in GRAPHS[name](np.random.default_rng(seed)):
        if graph is None:  # random scales break rules at times
            continue
        lowered = lower(graph)
        (node,) = lowered.nodes
        call = Call.of(lowered, node)
        op = ops.row_form(call, ops.find(call.node.op))
        assert op.arch == "rows", f"{node.op} of {call.x.shape} runs {op.kernel}: {node.attrs}"
        yield lowered, call, op
        found += 1
    assert found > EXAMPLES // 2


class Stream:
    """A call whose input comes row by row into a ring. Everything in the arena is noise that nobody wrote."""

    def __init__(self, call: Call, op: Op, ring: int, rng: Generator) -> None:
        self.op, self.call, self.rng = op, call, rng
        self.count, stride = op.rows(call, call.x)
        out_count, out_stride = op.rows(call, call.y)
        self.out = View(out_stride, out_count, 0)
        self.input = View(stride, min(ring, self.count), aligned(call.y.nbytes))
        self.state = aligned(self.input.offset + self.input.count * stride)
        self.bound: Bound = bind(call, [self.input], self.out, op=op, state=self.state)
        self.bytes = self.state + op.state_bytes(call)

    def run(self, kernels: Kernels, x: Array, steps: list[tuple[int, int]]) -> Array:
        """The output. Rows are there while the steps that need them run, not before and not after."""
        arena, rows = Arena(self.bytes), np.frombuffer(x.tobytes(), np.uint8).reshape(self.count, -1)
        arena.bytes[:] = self.rng.integers(0, 256, self.bytes)
        for row, end in steps:
            ring = slice(self.input.offset, self.input.offset + self.input.count * self.input.stride)
            arena.bytes[ring] = self.rng.integers(0, 256, ring.stop - ring.start)
            for r in range(row, end):
                arena.put(self.input.offset + r % self.input.count * self.input.stride, rows[r])
            before = arena.bytes[: self.state].copy()
            kernels.run(self.bound, arena, row, end)
            arena.check()
            untouched = slice(0 if end < self.count else self.call.y.nbytes, self.state)
            assert (arena.bytes[untouched] == before[untouched]).all(), f"{self.op.kernel} wrote beside its output"
        return arena.get(0, self.call.y)


def aligned(offset: int) -> int:
    return -(-offset // 4) * 4


def partitions(count: int, ring: int, rng: Generator) -> Iterator[list[tuple[int, int]]]:
    """Steps one by one, as many at once as the ring holds, and at random."""
    most = min(ring, count)
    for size in {1, most}:
        yield [(row, min(row + size, count)) for row in range(0, count, size)]
    row, parts = 0, []
    while row < count:
        end = min(count, row + int(rng.integers(1, most + 1)))
        parts.append((row, end))
        row = end
    yield parts


def check(kernels: Kernels, graph: Graph, call: Call, op: Op, rng: Generator) -> None:
    samples: list[Inputs] = list(parity.samples(graph, rng, 2))
    for ring in {1, 2, 3, op.step_count(call)}:
        stream = Stream(call, op, ring, rng)
        for steps in partitions(stream.count, ring, rng):
            for (x,) in samples:
                found, (expected,) = stream.run(kernels, x, steps), parity.numpy_outputs(graph, [x])
                assert (found == expected).all(), f"{call.x.shape}, ring of {ring}, {steps}: {call.node}"


@pytest.mark.parametrize("name", NAMES)
def test_any_steps_from_any_ring_give_the_output(name: str) -> None:
    rng = np.random.default_rng(1)
    for graph, call, op in calls(name, 2):
        check(parity.kernels(), graph, call, op, rng)


@pytest.mark.parametrize("name", NAMES)
def test_the_op_s_own_examples_are_right_where_the_kernel_suits(name: str) -> None:
    rng, taken = np.random.default_rng(3), 0
    for graph in parity.examples(ops.find(name), rng, 2000):
        lowered = lower(graph)
        call = Call.of(lowered, lowered.nodes[0])
        op = ops.row_form(call, ops.find(call.node.op))
        if op.arch:
            check(parity.kernels(), lowered, call, op, rng)
            taken += 1
        if taken == 20:
            return
    assert taken > 10


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_input_rows_and_all_output_comes_last(name: str) -> None:
    for _, call, op in calls(name, 4):
        count, nbytes = op.rows(call, call.x)
        assert (count, nbytes) == image_rows(call.x) and op.step_count(call) == count > 1
        done = [op.rows_done(call, steps) for steps in range(count + 1)]
        assert done == [0] * count + [op.rows(call, call.y)[0]]
        needed = [(op.first_input_row(call, 0, s), op.last_input_row(call, 0, s)) for s in range(count)]
        assert needed == [(s, s) for s in range(count)]
        assert op.separation(call, 0) is None and op.needs_state and not op.scratch_bytes(call)


def test_state_is_as_small_as_sums_allow() -> None:
    for name in ("AVERAGE_POOL_2D", "MEAN"):
        sizes = {call.x.shape[1:]: op.state_bytes(call) / call.y.size for _, call, op in calls(name, 2)}
        assert [sizes[image] for image in IMAGES] == [2, 2, 2, 2, 2, 2, 2, 4, 2, 4, 4]
    assert all(op.state_bytes(call) == 4 * call.y.size for _, call, op in calls("FULLY_CONNECTED", 2))


def test_what_is_no_sum_over_whole_rows_is_left_to_other_kernels() -> None:
    rng = np.random.default_rng(5)
    single_row, image = quantized(rng, "x", (1, 1, 6, 4)), quantized(rng, "x", (1, 4, 6, 4))
    pool, mean, dense = (ops.find(name) for name in ("AVERAGE_POOL_2D", "MEAN", "FULLY_CONNECTED"))
    graphs = [
        single(pool, PoolAttrs("VALID", 6, 1, 6, 1), [single_row], replace(single_row, name="y")),
        single(pool, PoolAttrs("VALID", 6, 4, 6, 3), [image], replace(image, name="y")),  # misses a row
        single(pool, PoolAttrs("VALID", 2, 2, 2, 2), [image], replace(image, name="y")),
        *(averaged(mean, x, axes) for x, axes in [(image, (2,)), (image, (3,)), (image, (2, 3)), (single_row, (1, 2))]),
        averaged(mean, quantized(rng, "x", (2, 4, 6, 4)), (1, 2)),
        averaged(mean, quantized(rng, "x", (2, 4, 6, 4)), (0,)),
        *(example(dense, rng, x, random_weights(rng, (3, 24)), dense.Attrs(), False) for x in (single_row, image)),
    ]
    for graph in graphs:
        assert graph is not None
        assert not ops.row_form(Call.of(graph, graph.nodes[0]), ops.find(graph.nodes[0].op)).purpose, graph.nodes[0]


def averaged(op: Op, x: Tensor, axes: tuple[int, ...]) -> Graph | None:
    axis = Tensor("axis", (len(axes),), np.dtype(np.int32), None, np.array(axes, np.int32))
    return single(op, Mean.Attrs(), [x, axis], replace(x, name="y"))


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4"])
def test_kernels_are_right_on_cores(target: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    for name in NAMES:
        chosen = [(graph, call, op) for graph, call, op in calls(name, 7) if call.x.nbytes < 600][:12]
        built = rows_firmware.build([(call, op) for _, call, op in chosen], target, tmp_path / name)
        for kind in ("low", "high", "random", "random"):
            inputs = [parity.sample(graph, call.x, kind, rng) for graph, call, _ in chosen]
            expected = [parity.numpy_outputs(graph, [x])[0] for (graph, _, _), x in zip(chosen, inputs, strict=True)]
            assert parity.equal(rows_firmware.run(built, [call for _, call, _ in chosen], inputs), expected)


def sanitized(path: str) -> None:
    """Run in a process of its own: what the kernels read and write, watched by sanitizers."""
    kernels, rng = Kernels(Path(path)), np.random.default_rng(8)
    for name in NAMES:
        for graph, call, op in calls(name, 9):
            check(kernels, graph, call, op, rng)


def test_kernels_stay_within_their_memory(tmp_path: Path) -> None:
    folders = [str(Path(__file__).parent), str(Path(toolchain.__file__).parents[1])]
    environment = {
        **os.environ, **toolchain.sanitizer_environment(targets.load("host")),
        "PYTHONPATH": os.pathsep.join(folders), "PYTHONMALLOC": "malloc",
    }  # fmt: skip
    script = f"import test_kernels_rows as t; t.sanitized({str(compile_kernels(tmp_path, sanitize=True))!r})"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
