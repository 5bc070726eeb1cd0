"""Plans are right: nothing that is still needed is overwritten, the arena is exact, and it does not grow."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import needs
import numpy as np
import parity
import pytest
from random_graphs import Builder, random_graph

from tinsmith import ops, toolchain
from tinsmith.emit import linked
from tinsmith.errors import Unsupported
from tinsmith.graph import Array, Graph, Node
from tinsmith.host_kernels import Program
from tinsmith.load.tflite import load_file
from tinsmith.ops import Call
from tinsmith.passes import lower
from tinsmith.plan import SCRATCH, Buffer, Plan, plan

GRAPHS = 60
CEILINGS = {"kws_int8": 11840, "resnet8_int8": 33792, "vww96_int8": 37632, "person_detect": 46080, "ad01_int8": 768}


class Overwritten(AssertionError):
    """A node reads bytes that are not its input's any more."""


class Memory:
    """Who owns which byte of the arena: `owner` holds a tensor's number, `place` the byte's index in that tensor."""

    def __init__(self, planned: Plan) -> None:
        self.plan, self.graph = planned, planned.graph
        self.owner: Array = np.full(planned.arena_bytes, -1, np.int64)
        self.place: Array = np.zeros(planned.arena_bytes, np.int64)
        self.number = {name: i for i, name in enumerate(dict.fromkeys(planned.roots.values()))}

    def write(self, tensor: str, begin: int, end: int) -> None:
        offset = self.plan.offset(tensor)
        assert offset + end <= len(self.owner), f"{tensor} ends beyond the arena"
        self.owner[offset + begin : offset + end] = self.number[self.plan.roots[tensor]]
        self.place[offset + begin : offset + end] = np.arange(begin, end)

    def read(self, tensor: str, begin: int, end: int) -> None:
        offset = self.plan.offset(tensor)
        owned = self.owner[offset + begin : offset + end] == self.number[self.plan.roots[tensor]]
        if not (owned & (self.place[offset + begin : offset + end] == np.arange(begin, end))).all():
            raise Overwritten(f"bytes {begin} to {end} of {tensor}")

    def scratch(self, node: Node) -> None:
        call = Call.of(self.graph, node)
        nbytes = ops.find(node.op).scratch_bytes(call)
        if nbytes:
            offset = self.plan.scratch_offset(node)
            self.owner[offset : offset + nbytes] = -1

    def run(self) -> None:
        """All nodes, row by row: what a row needs is read before the row is written."""
        for name in self.graph.inputs:
            self.write(name, 0, self.graph[name].nbytes)
        for node in self.graph.nodes:
            if not ops.find(node.op).view:
                self.scratch(node)
                self.step(node)
        for name in self.graph.outputs:
            self.read(name, 0, self.graph[name].nbytes)

    def step(self, node: Node) -> None:
        op, call = ops.find(node.op), Call.of(self.graph, node)
        count, nbytes = op.rows(call, call.y)
        for row in range(count):
            for index in op.runtime_inputs(call):
                tensor = call.input(index)
                if tensor.data is None:
                    rows, stride = op.rows(call, tensor)
                    first = op.first_input_row(call, index, row)
                    last = op.last_input_row(call, index, row)
                    begin, end = (0, rows) if first is None else (first, max(first, last + 1))
                    self.read(tensor.name, begin * stride, min(end, rows) * stride)
            self.write(call.y.name, row * nbytes, (row + 1) * nbytes)


def lower_bound(graph: Graph, planned: Plan) -> int:
    """What no packing can beat: when a node has just run, all that is needed later and its output lie apart."""

    def is_needed_after(b: Buffer, node: int) -> bool:
        return b.first <= node < b.last or (b.first == node and not b.name.startswith(SCRATCH))

    steps = range(-1, len(graph.nodes) + 1)
    return max(sum(b.nbytes for b in planned.buffers if is_needed_after(b, i)) for i in steps)


def graphs(count: int, seed: int = 0) -> list[Graph]:
    rng = np.random.default_rng(seed)
    return [lower(random_graph(rng, int(rng.integers(1, 14)))) for _ in range(count)]


def inputs_of(graph: Graph, rng: np.random.Generator) -> list[Array]:
    return [parity.sample(graph, graph[name], "random", rng) for name in graph.inputs]


def test_no_byte_is_read_after_it_was_overwritten() -> None:
    overlapping = 0
    for graph in graphs(GRAPHS):
        planned = plan(graph)
        Memory(planned).run()
        assert all(b.offset % 4 == 0 for b in planned.buffers)
        total = sum(-(-b.nbytes // 4) * 4 for b in planned.buffers)
        assert lower_bound(graph, planned) <= planned.arena_bytes <= total
        overlapping += any(touching(planned))
    assert overlapping > GRAPHS // 3, "hardly any plan makes use of overlaps"


def touching(planned: Plan) -> list[tuple[str, str]]:
    """Pairs of buffers that share bytes while both are needed by one node."""
    pairs = [(a, b) for a in planned.buffers for b in planned.buffers if a.last == b.first and a is not b]
    return [(a.name, b.name) for a, b in pairs if a.offset < b.end and b.offset < a.end]


def test_the_simulation_sees_what_is_wrong() -> None:
    """Moving any one buffer to another place is noticed in most plans; so is a smaller separation."""
    noticed = tried = 0
    for graph in graphs(GRAPHS // 2, 1):
        planned = plan(graph)
        for i, buffer in enumerate(planned.buffers):
            others = [b.offset for b in planned.buffers if b.offset != buffer.offset]
            for offset in others[:2]:
                moved = replace(buffer, offset=offset)
                broken = replace(planned, buffers=(*planned.buffers[:i], moved, *planned.buffers[i + 1 :]))
                tried += 1
                try:
                    Memory(broken).run()
                except AssertionError:
                    noticed += 1
    assert noticed > tried // 2 > 20


def test_c_computes_what_numpy_does_in_the_planned_arena() -> None:
    rng = np.random.default_rng(5)
    for graph in graphs(GRAPHS, 2):
        program = Program(plan(graph), parity.kernels())
        for _ in range(2):
            x = inputs_of(graph, rng)
            assert parity.equal(program.run(x), parity.numpy_outputs(graph, x)), graph.nodes


def test_a_chain_of_steps_in_place_needs_one_buffer() -> None:
    b = Builder(np.random.default_rng(0))
    x = b.input(1, 5, 4, 3)
    for _ in range(3):
        x = b.add("LOOKUP", b.attrs("LOOKUP"), [x, b.constant(np.arange(256).astype(np.int8))])
    assert plan(b.graph(b.reshape(x, 60))).arena_bytes == 60


def test_what_lives_on_is_not_written_over() -> None:
    """An input that is an output too, a tensor that is read again later, and a view that outlives its source."""
    b = Builder(np.random.default_rng(0))
    x = b.input(1, 4, 4, 2)
    view = b.reshape(x, 1, 2, 8, 2)
    y = b.simple("RELU", x)
    z = b.simple("ADD", y, x)
    graph = lower(b.graph(x, z, view))
    planned = plan(graph)
    Memory(planned).run()
    assert planned.offset(x) == planned.offset(view) != planned.offset(z)
    assert planned.arena_bytes == 64
    value = inputs_of(graph, np.random.default_rng(1))
    assert parity.equal(Program(planned, parity.kernels()).run(value), parity.numpy_outputs(graph, value))


def test_one_tensor_as_both_inputs_may_be_overwritten() -> None:
    b = Builder(np.random.default_rng(0))
    x = b.input(1, 4, 4, 2)
    graph = lower(b.graph(b.simple("ADD", x, x)))
    assert plan(graph).arena_bytes == 32


def test_an_output_that_is_constant_is_refused() -> None:
    b = Builder(np.random.default_rng(0))
    b.input(1, 4)
    with pytest.raises(Unsupported, match="does not depend on the input"):
        plan(b.graph(b.constant(np.zeros(3, np.int8))))


def test_plans_are_the_same_every_time() -> None:
    for graph in graphs(5, 3):
        assert plan(graph) == plan(graph)


@pytest.mark.parametrize("name", CEILINGS)
def test_arenas_of_public_models_do_not_grow(name: str, zoo: Path) -> None:
    path = next(zoo.rglob(f"{name}.tflite"), None)
    if path is None:
        needs.lacking(f"{name}.tflite is not in {zoo}")
    planned = plan(lower(load_file(path)))
    Memory(planned).run()
    assert planned.arena_bytes <= CEILINGS[name]


def test_arenas_are_exact(tmp_path: Path) -> None:
    """Under the address and undefined-behaviour sanitizers, in memory of exactly NAME_ARENA_BYTES: the generated C
    refuses a byte less and a misaligned arena, touches nothing outside, and computes what numpy does."""
    needs.programs("gcc")
    rng = np.random.default_rng(6)
    chosen = graphs(25, 4)
    fed = [inputs_of(graph, rng) for graph in chosen]
    program = build_all(chosen, tmp_path)
    data = b"".join(value.tobytes() for values in fed for value in values)
    environment = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], input=data, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    expected = [parity.numpy_outputs(graph, values) for graph, values in zip(chosen, fed, strict=True)]
    assert done.stdout == b"".join(value.tobytes() for values in expected for value in values)


def build_all(chosen: Sequence[Graph], folder: Path) -> Path:
    """One program of all models and the fixture's main()."""
    includes, entries = [], []
    for i, graph in enumerate(chosen):
        for name, text in linked(plan(graph), f"g{i}").items():
            (folder / name).write_text(text)
        includes.append(f'#include "g{i}.h"\n')
        entries.append(f"&g{i}_model")
    models = f"static const tin_model *const models[] = {{{', '.join(entries)}}};\n"
    (folder / "models.h").write_text("".join(includes) + models)
    core, main = toolchain.FIRMWARE / "core", Path(__file__).parent / "fixtures" / "plan" / "main.c"
    sources = [main, *sorted(folder.glob("g*.c")), *sorted((core / "ops").glob("*.c"))]
    flags = [*toolchain.WARNINGS, *toolchain.SANITIZERS, "-O1", f"-I{core}", f"-I{folder}"]
    command = ["gcc", *flags, *map(str, sources), "-o", str(folder / "all")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "all"
