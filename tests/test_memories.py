"""A model may work in several memories: each holds no more than it can, the fastest what is used most, and the outputs
are the same bytes."""

from __future__ import annotations

import ctypes
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import parity
import pytest
from random_graphs import Builder, random_graph
from typer.testing import CliRunner

from tinsmith import modes, targets
from tinsmith.cli import app
from tinsmith.errors import BudgetMissed
from tinsmith.graph import Array, Graph
from tinsmith.host_kernels import Program
from tinsmith.interpret import interpret
from tinsmith.passes import lower
from tinsmith.pipeline import Compiled, build_model, compile_graph, compile_model
from tinsmith.plan import Plan, packing, plan
from tinsmith.plan.audit import Overwritten, audit
from tinsmith.plan.lifetimes import Buffer, Stretch
from tinsmith.plan.memories import ADDRESS_BYTES, ADDRESSES, Room, hottest
from tinsmith.runners import HostRunner, runner
from tinsmith.verify import verify

DIGITS = needs.REPOSITORY / "models" / "digits" / "digits.tflite"
MANY = 120


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans need not be small here."""
    monkeypatch.setattr(packing, "SEARCH_STEPS", 20)


def rooms(*sizes: int) -> tuple[Room, ...]:
    return tuple(Room(name, size) for name, size in zip(("fast", "slow", "far"), sizes, strict=False))


def spread_out(graph: Graph, pixels: int | None) -> Plan:
    """A plan in a fast memory that is too small for all of it, one that is smaller yet, and one without bounds."""
    fast = max(64, plan(graph, pixels=pixels).arena_bytes // 2)
    return plan(graph, pixels=pixels, rooms=rooms(fast, fast // 2, 1 << 20))


def lowered(count: int, seed: int) -> list[Graph]:
    rng = np.random.default_rng(seed)
    return [lower(random_graph(rng, int(rng.integers(2, 10)))) for _ in range(count)]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("pixels", [None, 1], ids=["layers", "rows"])
def test_memories_hold_what_they_can_and_nothing_is_overwritten(pixels: int | None) -> None:
    spread = 0
    for graph in lowered(MANY, 11):
        planned = spread_out(graph, pixels)
        audit(planned)
        assert planned.lacking == 0 and [m.start for m in planned.memories[1:]] == [
            m.end for m in planned.memories[:-1]
        ]
        for buffer in planned.buffers:
            memory = planned.memories[planned.memory_of(buffer.offset)]
            assert memory.start <= buffer.offset and buffer.end <= memory.end
        assert planned.by_name[ADDRESSES].end == 2 * ADDRESS_BYTES
        spread += len({planned.memory_of(b.offset) for b in planned.buffers}) > 1
    assert spread > MANY // 3, "hardly any plan has use for the second memory"


@pytest.mark.usefixtures("hasty")
def test_every_row_is_what_it_should_be_when_a_kernel_reads_it() -> None:
    rng = np.random.default_rng(3)
    for graph in lowered(MANY // 4, 12):
        x = [rng.integers(-128, 128, graph[n].shape).astype(graph[n].dtype) for n in graph.inputs]
        program = Program(spread_out(graph, 1), parity.kernels())
        assert parity.equal(program.run(x, interpret(graph, x)), parity.numpy_outputs(graph, x))


def test_the_audit_sees_lost_addresses_and_what_lies_in_two_memories() -> None:
    graph = lower(residual())
    planned = plan(graph, rooms=rooms(300, 1 << 16))
    audit(planned)
    moved = 0
    for i, buffer in enumerate(planned.buffers):
        for offset in (0, planned.memories[0].end - 4):
            if buffer.name == ADDRESSES or buffer.nbytes < 8:
                continue
            broken = (*planned.buffers[:i], replace(buffer, offset=offset), *planned.buffers[i + 1 :])
            with pytest.raises(Overwritten):
                audit(replace(planned, buffers=broken))
            moved += 1
    assert moved > 4


def residual() -> Graph:
    b = Builder(np.random.default_rng(4))
    x = b.conv(b.input(1, 9, 8, 4), 8, 3, padding="SAME")
    return b.graph(b.simple("ADD", b.conv(b.conv(x, 8, 3, padding="SAME"), 8, 1), x))


def block(name: str, nbytes: int) -> Buffer:
    return Buffer(name, 1, nbytes, (Stretch(0, nbytes, 1),), 0, 0)


def test_the_hottest_come_first() -> None:
    """All are alive at once. The third is used more than the second, but is larger, too."""
    buffers = [block("cold", 40), block("warm", 40), block("large", 200), block("scratch of x", 24)]
    apart = packing.collisions
    forbidden = [{j: apart(a, b) for j, b in enumerate(buffers) if a is not b} for a in buffers]
    heat = {"cold": 40, "warm": 400, "large": 600, "scratch of x": 4800}
    assert hottest([0, 1, 2, 3], buffers, forbidden, heat, 72) == [3, 1]
    assert hottest([0, 1, 2, 3], buffers, forbidden, heat, 264) == [3, 1, 2]
    assert hottest([0, 1, 2, 3], buffers, forbidden, heat, 304) == [0, 1, 2, 3]
    assert hottest([0, 1, 2], buffers, forbidden, heat, 80) == [1, 0]


def test_traffic_counts_windows_as_often_as_steps_need_them() -> None:
    b = Builder(np.random.default_rng(5))
    x = b.input(1, 6, 5, 2)
    graph = lower(b.graph(b.conv(x, 4, 3, padding="VALID")))
    planned = plan(graph, rooms=rooms(1 << 12, 1 << 12))
    (output,) = graph.outputs
    assert planned.traffic == {x: 4 * 3 * 10, output: 4 * 3 * 4}
    assert planned.traffic_shares == (1.0, 0.0)


# -- on devices --------------------------------------------------------------------------------------


def compiled(graph: Graph, target: str, optimize: str, sizes: tuple[int, ...], feed_rows: bool = False) -> Compiled:
    mode, chosen = modes.mode(optimize), targets.load(target)
    return compile_graph(lower(graph), graph, Path("m.tflite"), chosen, "m", mode, None, feed_rows, rooms(*sizes))


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["host", "cortex-m4", "rv32imc", "cortex-m0plus", "cortex-m55"])
@pytest.mark.parametrize("optimize", ["speed", "balanced"])
def test_each_target_computes_the_same_in_two_memories(target: str, optimize: str) -> None:
    """Nothing is written beside any of them: they have guards of their own in the emulator."""
    made = compile_model(DIGITS, targets.load(target), optimize=optimize, rooms=rooms(700, 1 << 16))
    assert min(made.plan.traffic_shares) > 0.1
    assert verify(made, samples=6).passed


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["host", "cortex-m4", "rv32imc"])
def test_three_memories_and_an_input_by_rows(target: str) -> None:
    graph = residual()
    size = compiled(graph, target, "balanced", (), feed_rows=True).plan.arena_bytes
    made = compiled(graph, target, "balanced", (size // 4, size // 2, 1 << 16), feed_rows=True)
    assert len({made.plan.memory_of(b.offset) for b in made.plan.buffers}) == 3
    rng = np.random.default_rng(6)
    samples: list[list[Array]] = [[rng.integers(-128, 128, (1, 9, 8, 4)).astype(np.int8)] for _ in range(4)]
    with runner(made) as device:
        got = device.run(samples)
    for sample, outputs in zip(samples, got, strict=True):
        assert parity.equal(outputs, parity.numpy_outputs(lower(graph), sample))


def test_each_memory_is_checked_when_a_model_is_opened(tmp_path: Path) -> None:
    made = compile_model(DIGITS, targets.load("host"), rooms=rooms(700, 1 << 16))
    device = HostRunner(made, build_model(made, tmp_path))
    fast, slow = (m.nbytes for m in made.plan.memories)
    memory = (ctypes.c_uint64 * 4096)()
    start = ctypes.addressof(memory)

    def opened(*arguments: int | None) -> int:
        first, first_bytes, second, second_bytes = arguments
        return int(device.function("open")(
            device.model, ctypes.c_void_p(first), ctypes.c_size_t(first_bytes or 0), ctypes.c_void_p(second),
            ctypes.c_size_t(second_bytes or 0),
        ))  # fmt: skip

    assert opened(start, fast, start + 8000, slow) == 0
    assert opened(None, fast, start, slow) == opened(start, fast, None, slow) == -1
    assert opened(start, fast - 1, start, slow) == opened(start, fast, start, slow - 1) == -2
    assert opened(start + 2, fast, start, slow) == opened(start, fast, start + 1, slow) == -3


def test_a_memory_without_use_can_still_be_declared() -> None:
    made = compile_model(DIGITS, targets.load("host"), rooms=rooms(1 << 16, 1 << 16))
    assert made.plan.memories[1].nbytes == 4 and made.plan.traffic_shares == (1.0, 0.0)
    assert "#define DIGITS_SLOW_BYTES 4" in made.files["digits.h"]


# -- the commands ------------------------------------------------------------------------------------


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_header_and_the_report_name_the_memories(tmp_path: Path) -> None:
    done = command("compile", DIGITS, "--memory", "fast=700, slow=64K", "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert set(report["memories"]) == {"fast", "slow"} and report["memories"]["fast"] <= 700
    assert report["budget"]["memories"] == {"fast": 700, "slow": 65536} and report["budget"]["fits"]
    header = (tmp_path / "digits.h").read_text()
    for name, nbytes in report["memories"].items():
        assert f"#define DIGITS_{name.upper()}_BYTES {nbytes} " in header
    assert "digits_open(digits_t *model, void *fast, size_t fast_bytes, void *slow, size_t slow_bytes);" in header
    assert [m["bytes"] for m in json.loads((tmp_path / "digits.json").read_text())["memories"]] == list(
        report["memories"].values()
    )


def test_the_plan_shows_the_memories(tmp_path: Path) -> None:
    picture = tmp_path / "plan.svg"
    done = command("plan", DIGITS, "--memory", "fast=700,slow=64K", "--out", picture)
    assert done.exit_code == 0, done.output
    assert "fast, from 0 on:" in done.stdout and "of the traffic" in done.stdout
    assert "slow, " in picture.read_text() and "begins here" in picture.read_text()
    command("plan", DIGITS, "--memory", "fast=64K,slow=64K", "--out", picture)
    assert "begins here" not in picture.read_text(), "nothing lies there"


def test_memories_that_are_too_small_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    for verb in ("compile", "plan"):
        out = tmp_path / "out" if verb == "compile" else tmp_path / "out.svg"
        done = command(verb, DIGITS, "--memory", "fast=300,slow=400", "--out", out)
        assert (
            done.exit_code == 2 and "bytes of the memory 'slow'" in done.stderr and " more than its 400" in done.stderr
        )
        assert not out.exists()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--memory", "fast=16K"), "takes 2 to 16 memories"),
        (("--memory", "fast=16K,fast=2K"), "two memories have one name"),
        (("--memory", "fast=16K,slow"), "'slow' is no memory"),
        (("--memory", "Fast=16K,slow=1K"), "'Fast=16K' is no memory"),
        (("--memory", "model=16K,slow=1K"), "'model=16K' is no memory"),
        (("--memory", "fast=16K,slow=0"), "'0' is no size of memory"),
        (("--memory", "fast=16K,slow=1K", "--ram", "8K"), "--ram 8K is for one memory"),
        (("--memory", "fast=16K,slow=1K", "--shared-arena", "both"), "does not go with --memory"),
    ],
)
def test_what_is_no_list_of_memories_is_refused(options: tuple[str, ...], fault: str, tmp_path: Path) -> None:
    done = command("compile", DIGITS, *options, "--out", tmp_path / "out")
    assert done.exit_code == 1 and fault in " ".join(done.stderr.split()), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_plan_that_lacks_room_says_how_much() -> None:
    with pytest.raises(BudgetMissed) as missed:
        plan(lower(residual()), rooms=rooms(64, 64))
    assert missed.value.needed > 64
    assert plan(lower(residual()), rooms=rooms(64, missed.value.needed)).lacking == 0
