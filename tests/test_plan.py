"""Plans are right: nothing that is still needed is overwritten, the arena is exact, and it does not grow."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import many
import needs
import numpy as np
import parity
import pytest
from random_graphs import Builder, random_graph, takes_rows

from tinsmith import modes, ops, targets, toolchain
from tinsmith.emit import linked
from tinsmith.errors import BudgetMissed, Unsupported
from tinsmith.graph import Array, Graph
from tinsmith.host_kernels import Program
from tinsmith.interpret import interpret
from tinsmith.load.tflite import load_file
from tinsmith.ops.base import LEAN
from tinsmith.passes import lower
from tinsmith.pipeline import kernels_for, written
from tinsmith.plan import SCRATCH, TABLES_MACRO, Plan, lifetimes, loose, packing, place, plan
from tinsmith.plan.audit import Overwritten, audit
from tinsmith.plan.orders import orders
from tinsmith.plan.problem import Problem
from tinsmith.plan.schedule import run_count, schedule
from tinsmith.runners import runner

GRAPHS = 60
MANY = 300  # for each way of planning
CEILINGS = {"kws_int8": 11840, "resnet8_int8": 33792, "vww96_int8": 37632, "person_detect": 46080, "ad01_int8": 768}
# Row by row, with portable kernels. (kws: 3,738 bytes are alive at the worst moment; 5,018 with whole rings.)
STREAMED = {
    ("kws_int8", False): 3776, ("kws_int8", True): 3456, ("resnet8_int8", False): 10240, ("resnet8_int8", True): 9088,
}  # fmt: skip

# The same with all kernels for the Cortex-M4, some of which need scratch.
STREAMED_FAST = {
    ("ad01_int8", False): 768, ("kws_int8", False): 4300, ("kws_int8", True): 4000, ("resnet8_int8", False): 11900,
    ("resnet8_int8", True): 10800, ("vww96_int8", False): 28400, ("vww96_int8", True): 11000,
    ("person_detect", False): 13400, ("person_detect", True): 10800,
}  # fmt: skip


def graphs(count: int, seed: int = 0) -> list[Graph]:
    rng = np.random.default_rng(seed)
    return [lower(random_graph(rng, int(rng.integers(1, 14)))) for _ in range(count)]


def inputs_of(graph: Graph, rng: np.random.Generator) -> list[Array]:
    return [parity.sample(graph, graph[name], "random", rng) for name in graph.inputs]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans need not be good: the local search hardly searches."""
    monkeypatch.setattr(packing, "SEARCH_STEPS", 20)
    monkeypatch.setattr(loose, "SEARCH_STEPS", 20)


streamed = pytest.mark.parametrize("stream", [None, 1], ids=["layers", "rows"])


@streamed
@pytest.mark.usefixtures("hasty")
def test_no_byte_is_read_after_it_was_overwritten(stream: int | None) -> None:
    overlapping = rings = tables = 0
    for graph in graphs(MANY):
        planned = plan(graph, pixels=stream)
        audit(planned)
        assert all(b.offset % 4 == 0 for b in planned.buffers)
        assert all(place % 4 == 0 for b in planned.buffers for place in b.places)
        total = sum(-(-b.nbytes // 4) * 4 for b in planned.buffers)
        assert planned.arena_bytes <= total
        overlapping += any(touching(planned))
        rings += any(planned.is_ring(name) for name in planned.roots)
        tables += any(planned.row_table(name) is not None for name in planned.roots)
    assert overlapping > MANY // 3, "hardly any plan makes use of overlaps"
    assert rings > MANY // 5 if stream else rings == 0
    assert tables > MANY // 20 if stream else tables == 0


def touching(planned: Plan) -> list[tuple[str, str]]:
    """Pairs of buffers that share bytes while both are needed by one node."""
    pairs = [(a, b) for a in planned.buffers for b in planned.buffers if a.last == b.first and a is not b]
    return [(a.name, b.name) for a, b in pairs if a.offset < b.end and b.offset < a.end]


@streamed
@pytest.mark.usefixtures("hasty")
def test_the_audit_sees_what_is_wrong(stream: int | None) -> None:
    """Moving any one buffer to another place is noticed in most plans."""
    noticed = tried = 0
    for graph in graphs(GRAPHS // 2, 1):
        planned = plan(graph, pixels=stream)
        for i, buffer in enumerate(planned.buffers):
            others = [b.offset for b in planned.buffers if b.offset != buffer.offset]
            for offset in others[:2]:
                moved = replace(buffer, offset=offset)
                broken = replace(planned, buffers=(*planned.buffers[:i], moved, *planned.buffers[i + 1 :]))
                tried += 1
                try:
                    audit(broken)
                except Overwritten:
                    noticed += 1
    assert noticed > tried // 2 > 20


def caught(planned: Plan) -> bool:
    try:
        audit(planned)
    except Overwritten:
        return True
    return False


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", ["ring", "death", "overlap", "scratch", "row", "neighbour"])
def test_a_broken_planner_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rings that are a row too short, rows that die early, overlaps a row too far, scratch that nobody minds; rows of
    tables that die early or do not mind others."""
    if fault == "ring":
        size = lifetimes.ring_size
        monkeypatch.setattr(place, "ring_size", lambda rows: size(rows) if rows.whole else max(1, size(rows) - 1))
    elif fault == "death":
        exact = lifetimes.stretches
        monkeypatch.setattr(place, "stretches", lambda rows, held: exact(dying_early(rows), held))
    elif fault == "overlap":
        distances = place.keep_out
        monkeypatch.setattr(place, "keep_out", lambda *a: tuple((low, high - 16) for low, high in distances(*a)))
    elif fault == "row":
        monkeypatch.setattr(loose, "mask", lambda first, last: lifetimes.mask(first, max(first, last - 1)))
    elif fault == "neighbour":
        monkeypatch.setattr(loose, "collisions", lambda own, other: packing.collisions(own, other)[1:])
    else:
        monkeypatch.setattr(
            place, "conflicts", lambda tasks, past, buffers, holder: unminded(tasks, past, buffers, holder)
        )
    kernels = ("word",) if fault == "scratch" else ()
    planned = [plan(g, ops.choose(g, kernels), pixels=1) for g in graphs(GRAPHS, 7)]
    if fault in ("row", "neighbour"):
        planned = [p for p in planned if any(b.places for b in p.buffers)]
    found = [caught(p) for p in planned]
    assert sum(found) > len(found) // 10 and sum(found) > 1, f"{sum(found)} of {len(found)}"


def dying_early(rows: lifetimes.Rows) -> lifetimes.Rows:
    dead = [max(born, dead - 1) for born, dead in zip(rows.born, rows.dead, strict=True)]
    return replace(rows, dead=dead)


real_conflicts = place.conflicts


def unminded(tasks: Any, past: Any, buffers: Any, holder: Any) -> Any:
    found = real_conflicts(tasks, past, buffers, holder)
    scratch = {i for i, b in enumerate(buffers) if b.name.startswith(SCRATCH)}
    return [{} if i in scratch else {j: f for j, f in e.items() if j not in scratch} for i, e in enumerate(found)]


@streamed
@pytest.mark.usefixtures("hasty")
def test_c_computes_what_numpy_does_in_the_planned_arena(stream: int | None) -> None:
    """Every row is compared before a kernel reads it."""
    rng = np.random.default_rng(5)
    for graph in graphs(GRAPHS, 2):
        program = Program(plan(graph, pixels=stream), parity.kernels())
        for _ in range(2):
            x = inputs_of(graph, rng)
            assert parity.equal(program.run(x, interpret(graph, x)), parity.numpy_outputs(graph, x)), graph.nodes


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
    audit(planned)
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
    audit(planned)
    assert planned.arena_bytes <= CEILINGS[name]


@pytest.mark.parametrize(("name", "fed"), STREAMED)
def test_rows_that_lie_anywhere_come_close_to_the_bytes_alive(name: str, fed: bool, zoo: Path) -> None:
    path = next(zoo.rglob(f"{name}.tflite"), None)
    if path is None:
        needs.lacking(f"{name}.tflite is not in {zoo}")
    planned = plan(lower(load_file(path)), pixels=1, fed=fed)
    audit(planned)
    assert planned.arena_bytes <= STREAMED[name, fed]
    assert any(b.places for b in planned.buffers)


@pytest.mark.parametrize(("name", "fed"), STREAMED_FAST)
def test_fast_kernels_leave_room_for_others(name: str, fed: bool, zoo: Path) -> None:
    path = next(zoo.rglob(f"{name}.tflite"), None)
    if path is None:
        needs.lacking(f"{name}.tflite is not in {zoo}")
    graph, mode = lower(load_file(path)), modes.mode("ram")
    planned = plan(graph, kernels_for(graph, targets.load("cortex-m4"), mode), mode.pixels, fed=fed)
    audit(planned)
    assert planned.arena_bytes <= STREAMED_FAST[name, fed]
    if name == "vww96_int8" and fed:
        assert 0 < sum(k.purpose == LEAN for k in planned.kernels.values()) < 13, "those that need not be lean are not"


@pytest.mark.usefixtures("cross_tools")
def test_the_last_bytes_of_a_budget_come_from_scratch() -> None:
    b = Builder(np.random.default_rng(4))
    x = b.input(1, 30, 12, 8)
    for channels in (8, 8):
        x = b.conv(b.depthwise(x, 3, padding="SAME"), channels, 3, padding="SAME")
    graph, target, mode = (
        b.graph(b.conv(x, 2, 3, padding="VALID", stride_w=2)),
        targets.load("cortex-m4"),
        modes.mode("ram"),
    )
    graph, kernels = lower(graph), kernels_for(lower(graph), target, mode)
    usual = plan(graph, kernels, pixels=1)
    least = plan(graph, kernels, ram=usual.arena_bytes - 100)
    assert not any(k.purpose == LEAN and k.name == "CONV_2D" for k in usual.kernels.values())
    assert any(k.purpose == LEAN and k.name == "CONV_2D" for k in least.kernels.values())
    audit(least)
    case = [parity.sample(graph, graph[name], "random", np.random.default_rng(5)) for name in graph.inputs]
    with runner(written(least, graph, Path("least.tflite"), target, "least", mode)) as device:
        (found,) = device.run([case])
    wanted = interpret(graph, case)
    assert all((a == wanted[name]).all() for name, a in zip(graph.outputs, found, strict=True))


def test_tables_are_for_those_who_want_the_least_ram() -> None:
    """And only where rings of rows take more; they cost flash and some time."""
    graph = chain()
    least = plan(graph, pixels=1)
    assert any(b.places for b in least.buffers)
    assert plan(graph, ram=least.arena_bytes) == least
    rings = plan(graph, ram=1840)
    assert rings.arena_bytes == 1840 and not any(b.places for b in rings.buffers)
    assert any(b.places for b in plan(graph, ram=1839).buffers)
    for planned in (plan(graph), plan(graph, pixels=2), plan(graph, fed=True)):
        assert not any(b.places for b in planned.buffers)
        assert planned.fed or planned.arena_bytes > least.arena_bytes
        assert TABLES_MACRO in planned.omitted(thrifty=True)
    assert TABLES_MACRO not in least.omitted(thrifty=True)


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["host", "cortex-m3", "cortex-m4", "cortex-m55", "cortex-m0plus"])
def test_fast_kernels_find_rows_that_lie_anywhere(target: str) -> None:
    """They take several rows at a time where these lie one behind the other, which rows of a table never seem to do."""
    b = Builder(np.random.default_rng(3))
    x = b.input(1, 24, 8, 4)
    for channels in (16, 16, 16):
        x = b.depthwise(b.conv(x, channels, 3, padding="SAME"), 3, padding="SAME")
    graph = b.graph(b.conv(x, 2, 3, padding="VALID", stride_w=2))
    planned = many.compiled(graph, target, "ram").plan
    tables = [b.name for b in planned.buffers if b.places]
    assert len(tables) > 2 and all(planned.rows_held(name, 5) == 1 for name in tables)
    assert many.differences([graph], target, samples=4, optimize="ram") == []


def test_rows_that_make_a_ring_need_no_table() -> None:
    rows = lifetimes.Rows(8, [0, 1, 2, -1], [1, 2, 3, -1])
    buffer = lifetimes.Buffer("x", 2, 8, lifetimes.stretches(rows, 2), 0, 1)
    past = lifetimes.History(5, {"x": rows}, {})
    ring = loose.put(buffer, {0: 40, 1: 48, 2: 40}, past)
    assert (ring.offset, ring.places, ring.end) == (40, (), 56)
    table = loose.put(buffer, {0: 40, 1: 60, 2: 44}, past)
    assert (table.offset, table.places[:3], table.end, table.nbytes) == (40, (0, 20, 4), 68, 16)
    assert {(s.start, s.moments) for s in table.stretches} == {(0, 0b11), (20, 0b110), (4, 0b1100)}


@pytest.mark.parametrize("pixels", [1, 20])
def test_runs_are_counted_without_a_schedule(pixels: int) -> None:
    for seed in range(12):
        graph = lower(random_graph(np.random.default_rng(seed), 8))
        fed = tuple(graph.inputs) if len(graph.inputs) == 1 else ()
        problem = Problem(graph, ops.choose(graph, ()), fed, pixels)
        for low, high in combinations(range(len(problem.points)), 2):
            flow, goals = problem.between(low, high)
            assert run_count(flow, goals) == len(schedule(flow, goals))


@pytest.mark.parametrize("way", ["layers", "rows", "fed"])
def test_arenas_are_exact(way: str, tmp_path: Path) -> None:
    """Under the address and undefined-behaviour sanitizers, in memory of exactly NAME_ARENA_BYTES: the generated C
    refuses a byte less and a misaligned arena, touches nothing outside, and computes what numpy does."""
    needs.programs("gcc")
    rng = np.random.default_rng(6)
    chosen = graphs(25, 4) if way != "fed" else [g for g in graphs(100, 4) if takes_rows(g)]
    assert len(chosen) > 12
    given = [inputs_of(graph, rng) for graph in chosen]
    program = build_all(chosen, tmp_path, way)
    data = b"".join(value.tobytes() for values in given for value in values)
    environment = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], input=data, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    expected = [parity.numpy_outputs(graph, values) for graph, values in zip(chosen, given, strict=True)]
    assert done.stdout == b"".join(value.tobytes() for values in expected for value in values)


def build_all(chosen: Sequence[Graph], folder: Path, way: str) -> Path:
    """One program of all models and the fixture's main()."""
    includes, entries = [], []
    for i, graph in enumerate(chosen):
        planned = plan(graph, pixels=None if way == "layers" else 1, fed=way == "fed")
        for name, text in linked(planned, f"g{i}").items():
            (folder / name).write_text(text)
        includes.append(f'#include "g{i}.h"\n')
        entries.append(f"&g{i}_model")
    models = f"static const tin_model *const models[] = {{{', '.join(entries)}}};\n"
    (folder / "models.h").write_text("".join(includes) + models)
    core, main = toolchain.FIRMWARE / "core", Path(__file__).parent / "fixtures" / "plan" / "main.c"
    kernels = [*sorted((core / "ops").glob("*.c")), *sorted((core / "arch" / "rows").glob("*.c"))]
    sources = [main, *sorted(folder.glob("g*.c")), *kernels]
    flags = [*toolchain.WARNINGS, *toolchain.SANITIZERS, "-O1", f"-I{core}", f"-I{folder}"]
    command = ["gcc", *flags, *map(str, sources), "-o", str(folder / "all")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "all"


def chain() -> Graph:
    """Four convolutions whose images are far larger than a few of their rows."""
    b = Builder(np.random.default_rng(3))
    x = b.input(1, 24, 8, 4)
    for channels in (16, 16, 16, 2):
        x = b.conv(x, channels, 3, padding="SAME")
    return lower(b.graph(x))


def test_a_budget_takes_no_more_speed_than_it_must() -> None:
    graph = chain()
    layers, rows = plan(graph), plan(graph, pixels=1)
    assert rows.arena_bytes < layers.arena_bytes
    assert plan(graph, ram=layers.arena_bytes) == layers
    between = plan(graph, ram=layers.arena_bytes - 4)
    assert rows.arena_bytes <= between.arena_bytes < layers.arena_bytes
    assert len(layers.runs) < len(between.runs) <= len(rows.runs)


def test_a_budget_that_cannot_be_met_says_by_how_much() -> None:
    graph = chain()
    least = min(plan(graph, ram=None, pixels=p).arena_bytes for p in (32, 16, 8, 4, 1))
    with pytest.raises(BudgetMissed, match=rf"needs {least:,} bytes of arena, 4 more than the budget of {least - 4:,}"):
        plan(graph, ram=least - 4)


def test_freak_tensors_of_countless_rows_are_planned_at_once() -> None:
    """Rows of so many are not looked at one by one."""
    b = Builder(np.random.default_rng(0))
    x = b.input(3, 32767, 2, 7)
    x = b.add("LOOKUP", b.attrs("LOOKUP"), [x, b.constant(np.arange(256).astype(np.int8))])
    for pixels in (None, 1):
        planned = plan(b.graph(x), pixels=pixels)
        audit(planned)
        assert planned.arena_bytes == 3 * 32767 * 2 * 7 and len(planned.runs) == 1


def branches(interleaved: bool) -> Graph:
    """Two branches that are wide in between, narrow at both ends, and meet in a sum."""
    b = Builder(np.random.default_rng(8))
    x = b.input(1, 4, 4, 4)
    if interleaved:
        wide = [b.conv(x, 32, 1), b.conv(x, 32, 1)]
        return b.graph(b.simple("ADD", *(b.conv(each, 4, 1) for each in wide)))
    return b.graph(b.simple("ADD", *(b.conv(b.conv(x, 32, 1), 4, 1) for _ in range(2))))


def test_one_branch_is_computed_after_the_other_whatever_the_file_s_order() -> None:
    """Both wide tensors at once would take 1,024 bytes."""
    straight, mixed = plan(branches(interleaved=False)), plan(branches(interleaved=True))
    assert mixed.arena_bytes == straight.arena_bytes < 1024
    order = [node.name for node in mixed.graph.nodes]
    assert order != [node.name for node in branches(interleaved=True).nodes]
    rng = np.random.default_rng(9)
    x = inputs_of(mixed.graph, rng)
    found = Program(mixed, parity.kernels()).run(x, interpret(mixed.graph, x))
    assert parity.equal(found, parity.numpy_outputs(branches(interleaved=True), x))


def test_orders_keep_every_node_behind_what_it_needs() -> None:
    seen = 0
    for graph in graphs(GRAPHS, 3):
        for each in orders(graph):
            assert sorted(map(id, each.nodes)) == sorted(map(id, graph.nodes))
            done = {*graph.inputs, *(name for name, tensor in graph.tensors.items() if tensor.data is not None)}
            for node in each.nodes:
                assert done.issuperset(name for name in node.inputs if name is not None)
                done.update(node.outputs)
            seen += 1
    assert seen > GRAPHS, "hardly any graph has branches"
