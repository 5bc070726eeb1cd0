"""Models take their input row by row: the same bytes, from a source that is asked for each row once, in order."""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import needs
import numpy as np
import pytest
import typer.testing
from random_graphs import QUANT, Builder, random_graph, takes_rows

from tinsmith import modes, targets
from tinsmith.bench import bench
from tinsmith.cli import app
from tinsmith.errors import BudgetMissed, TargetError, Unsupported
from tinsmith.graph import Array, Graph
from tinsmith.interpret import interpret
from tinsmith.measure import stack
from tinsmith.passes import lower
from tinsmith.pipeline import Compiled, build_model, compile_graph, compile_model
from tinsmith.plan import Plan, Run, lifetimes, packing, place, plan
from tinsmith.plan.audit import Overwritten, audit
from tinsmith.plan.schedule import FEED
from tinsmith.runners import ROW_SOURCE, HostRunner, runner
from tinsmith.samples import made_up
from tinsmith.verify import verify

DIGITS = needs.REPOSITORY / "models" / "digits" / "digits.tflite"
CROSS = [name for name in targets.names() if targets.load(name).emulators]
ZOO = ("mlperf_tiny/kws_int8", "mlperf_tiny/resnet8_int8", "tflm/micro_speech_quantized")


def fed(graph: Graph, target: str = "host", optimize: str = "ram") -> Compiled:
    mode = modes.mode(optimize)
    return compile_graph(lower(graph), graph, Path("m.tflite"), targets.load(target), "m", mode, feed_rows=True)


def strided() -> Graph:
    """A convolution that leaves out the last row of its input, and a residual behind it. Rows are of an odd size."""
    b = Builder(np.random.default_rng(2))
    x = b.conv(b.input(1, 10, 5, 3), 4, 3, padding="VALID", stride_h=2)
    return b.graph(b.simple("ADD", b.conv(x, 4, 3, padding="SAME"), x))


# -- the same bytes ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize(("target", "optimize"), [("host", "ram"), ("host", "balanced"), ("cortex-m4", "ram")])
def test_public_models_are_the_judge_s_without_room_for_the_input(
    name: str, target: str, optimize: str, zoo: Path
) -> None:
    path, chosen = zoo / f"{name}.tflite", targets.load(target)
    compiled = compile_model(path, chosen, optimize=optimize, feed_rows=True)
    assert verify(compiled, samples=6).passed
    whole = compile_model(path, chosen, optimize=optimize).plan
    # Where other layers need most, feeding saves nothing, and what packing finds may differ a little.
    spare = 0 if optimize == "ram" else compiled.plan.sizes[compiled.plan.fed[0]][1] + 1
    assert compiled.plan.arena_bytes < whole.arena_bytes + spare
    assert compiled.plan.buffer(compiled.plan.fed[0]).nbytes < compiled.plan.fed_bytes / 2


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("optimize", ["ram", "speed"])
@pytest.mark.parametrize("target", targets.names())
def test_digits_are_the_judge_s_everywhere(target: str, optimize: str) -> None:
    compiled = compile_model(DIGITS, targets.load(target), optimize=optimize, feed_rows=True)
    assert compiled.plan.fed == compiled.plan.graph.inputs
    assert verify(compiled, samples=6).passed


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["host", "cortex-m4"])
@pytest.mark.parametrize("case", ["digits", "strided"])
def test_every_layer_can_be_looked_at(target: str, case: str) -> None:
    """Rows of the input that come between two calls do not hide what the first one wrote."""
    model = strided() if case == "strided" else compile_model(DIGITS, targets.load(target)).source
    compiled = fed(model, target)
    ((_, sample),) = made_up(model, 1, 3)
    with runner(compiled) as device:
        seen = device.trace(sample)
    expected = interpret(compiled.plan.graph, sample)
    assert len(seen) > 2 and all((seen[name] == expected[name]).all() for name in seen)


def quantizing(*shape: int) -> Graph:
    """Floats in, and behind their quantization a layer that goes by rows, or one that takes its only row."""
    b = Builder(np.random.default_rng(4))
    x = b.input(*shape)
    b.tensors[x] = replace(b.tensors[x], dtype=np.dtype("f4"), quant=None)
    y = b.add("QUANTIZE", b.attrs("QUANTIZE"), [x], dtype=np.dtype("i1"), quant=QUANT)
    return b.graph(b.fully_connected(y, 3) if len(shape) == 2 else b.simple("MAX_POOL_2D", y))


@pytest.mark.parametrize("shape", [(1, 6, 4, 2), (1, 12)])
def test_floats_and_single_rows_can_be_fed(shape: tuple[int, ...]) -> None:
    graph = quantizing(*shape)
    compiled = fed(graph)
    ((_, sample),) = made_up(graph, 1, 5)
    with runner(compiled) as device:
        (got,) = device.run([sample])[0]
    assert (got == interpret(graph, sample)[graph.outputs[0]]).all()


# -- what the source is asked for --------------------------------------------------------------------


def asked_rows(compiled: Compiled, sample: Array, folder: Path) -> tuple[list[int], Array]:
    """The rows that a run asks for, and the bytes of the outputs; every row is checked to lie in the arena."""
    device, asked = HostRunner(compiled, build_model(compiled, folder)), list[int]()
    rows = sample.reshape(-1).view(np.uint8).reshape(compiled.plan.sizes[compiled.plan.fed[0]])
    start, nbytes = device.memory.ctypes.data, rows.shape[1]

    def source(context: int, row: int, to: int) -> None:
        asked.append(row if context == 77 and start <= to <= start + device.arena_bytes - nbytes else -1)
        ctypes.memmove(to, rows[row].tobytes(), nbytes)

    callback = ROW_SOURCE(source)
    device.function("run_rows")(ctypes.byref(device.model), callback, ctypes.c_void_p(77))
    return asked, np.concatenate([device.view(name) for name in compiled.plan.graph.outputs])


@pytest.mark.parametrize(("case", "needed"), [("strided", 9), ("digits", 8)])
def test_each_needed_row_is_asked_for_once_and_in_order(case: str, needed: int, tmp_path: Path) -> None:
    model = strided() if case == "strided" else compile_model(DIGITS, targets.load("host")).source
    compiled = fed(model)
    ((_, sample),) = made_up(model, 1, 8)
    asked, outputs = asked_rows(compiled, sample[0], tmp_path)
    assert asked == list(range(needed))
    values = interpret(compiled.plan.graph, sample)
    assert outputs.tobytes() == b"".join(values[name].tobytes() for name in model.outputs)


def test_the_header_states_the_rows() -> None:
    compiled = fed(strided())
    header, report = compiled.files["m.h"], json.loads(compiled.files["m.json"])
    macros = dict(re.findall(r"#define (M_INPUT\w+) (\S+)", header))
    assert (macros["M_INPUT_ROWS"], macros["M_INPUT_ROW_BYTES"], macros["M_INPUT_ELEMENTS"]) == ("10", "15", "150")
    assert "the first 9 are asked for" in header and "to row 8." in header
    assert report["feed"] == {"rows": 10, "rows_needed": 9, "row_bytes": 15}
    assert "M_INPUT_OFFSET" not in macros and "m_input(" not in header and "m_run(" not in header
    whole = compile_graph(lower(strided()), strided(), Path("m.tflite"), targets.load("host"), "m", modes.mode("ram"))
    assert json.loads(whole.files["m.json"])["feed"] is None
    assert "ROW" not in whole.files["m.h"] and "void m_run(const m_t *model);" in whole.files["m.h"]


def test_rows_are_those_of_the_view_with_the_most(zoo: Path) -> None:
    """Its input is 1 x 1960, which the first layer sees as 49 x 40."""
    compiled = compile_model(zoo / "tflm" / "micro_speech_quantized.tflite", targets.load("host"), "m", feed_rows=True)
    assert compiled.plan.graph[compiled.plan.fed[0]].shape == (1, 1960)
    assert re.findall(r"#define M_INPUT_ROW\w* (\d+)", compiled.files["m.h"]) == ["49", "40"]


# -- what it costs -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("cross_tools")
def test_figures_are_without_the_source_s_share() -> None:
    """Copying a row of 1,024 bytes would take hundreds of instructions at least; asking for it takes some."""
    b = Builder(np.random.default_rng(2))
    graph = b.graph(b.simple("MAX_POOL_2D", b.input(1, 27, 8, 128), stride_h=9, filter_height=1, filter_width=8))
    compiled = fed(graph, "cortex-m4")
    cost = bench(compiled)
    assert compiled.plan.rows_fetched == 19 and cost.arena_bytes == compiled.plan.arena_bytes
    assert 0 < cost.instructions - sum(layer.instructions for layer in cost.layers) < 19 * 60
    assert all(layer.instructions > 0 for layer in cost.layers)


@pytest.mark.usefixtures("cross_tools")
def test_only_the_source_of_rows_may_be_called_through_a_pointer(tmp_path: Path) -> None:
    built = build_model(fed(strided(), "cortex-m4"), tmp_path, instrument="none")
    graphs = list((built.objects / "model").glob("*.ci"))
    with pytest.raises(TargetError, match="need_input calls through a pointer"):
        stack.worst_case(built.output, graphs, "m_run_rows")
    assert stack.worst_case(built.output, graphs, "m_run_rows", {"need_input": ()}).bytes > 100


# -- what is refused ---------------------------------------------------------------------------------


def test_models_that_cannot_be_fed_are_refused() -> None:
    b = Builder(np.random.default_rng(0))
    x, y = b.input(1, 4, 4, 2), b.input(1, 4, 4, 2)
    with pytest.raises(Unsupported, match="one input can take it row by row; this one has 2: 'x0', 'x1'"):
        fed(b.graph(b.simple("ADD", x, y)))
    b = Builder(np.random.default_rng(0))
    x = b.input(1, 4, 4, 2)
    with pytest.raises(Unsupported, match="the output 'x0' is the input 'x0'"):
        fed(b.graph(b.simple("RELU", x), x))
    b = Builder(np.random.default_rng(0))
    x = b.input(1, 4, 4, 2)
    other = b.simple("MAX_POOL_2D", b.reshape(x, 1, 2, 8, 2), filter_width=2, filter_height=2)
    with pytest.raises(Unsupported, match="MAX_POOL_2D 'max_pool_2d1' reads all 4 rows of 'x0' at once"):
        fed(b.graph(other, b.simple("MAX_POOL_2D", x, filter_width=2, filter_height=2)))


def test_a_budget_holds_for_fed_models_too() -> None:
    least = fed(strided()).plan.arena_bytes
    graph = lower(strided())
    assert plan(graph, ram=least, fed=True).fed == ("x0",)
    with pytest.raises(BudgetMissed, match=f"{least:,} bytes of arena, 1 more"):
        plan(graph, ram=least - 1, fed=True)


def test_the_command_line_feeds(tmp_path: Path) -> None:
    def call(*arguments: object) -> dict[str, object]:
        result = typer.testing.CliRunner().invoke(app, [*map(str, arguments), "--feed-rows", "--json"])
        assert result.exit_code == 0, result.output
        found: dict[str, object] = json.loads(result.stdout)
        return found

    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 1), np.int8))
    assert call("compile", DIGITS, "--out", tmp_path)["feed_rows"] is True
    assert "digits_run_rows(" in (tmp_path / "digits.h").read_text()
    assert call("build", DIGITS, "--out", tmp_path)["feed_rows"] is True
    assert ctypes.CDLL(str(tmp_path / "digits.so")).digits_run_rows
    assert call("run", DIGITS, "--input", tmp_path / "x.npy")["samples"] == 2
    assert call("verify", DIGITS, "--samples", 3)["passed"] is True
    assert call("plan", DIGITS)["segments"][0]["fed"] is True  # type: ignore[index]


# -- the audit ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graphs() -> list[Graph]:
    rng = np.random.default_rng(11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "SEARCH_STEPS", 20)
        return [g for g in (lower(random_graph(rng, int(rng.integers(1, 10)))) for _ in range(200)) if takes_rows(g)]


def caught(planned: Plan) -> bool:
    try:
        audit(planned)
    except Overwritten:
        return True
    return False


def without_the_last_row(runs: list[Run], fetched: list[int]) -> None:
    del runs[fetched[-1]]


def too_late(runs: list[Run], fetched: list[int]) -> None:
    """The last row comes after the call that needs it."""
    runs.insert(fetched[-1] + 1, runs.pop(fetched[-1]))


def too_early(runs: list[Run], fetched: list[int]) -> None:
    """All rows come at the start, each over one that is still needed if the ring is shorter than the input."""
    runs[:] = [*(runs[i] for i in fetched), *(r for r in runs if r.node != FEED)]


@pytest.mark.parametrize("fault", [without_the_last_row, too_late, too_early])
def test_rows_that_come_at_a_wrong_moment_are_noticed(
    fault: Callable[[list[Run], list[int]], None], graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SEARCH_STEPS", 20)
    tried = 0
    for graph in graphs:
        planned = plan(graph, fed=True)
        audit(planned)
        if fault is too_early and planned.rows_fetched <= planned.buffer(planned.fed[0]).rows:
            continue
        runs = list(planned.runs)
        fault(runs, [i for i, run in enumerate(runs) if run.node == FEED])
        assert caught(replace(planned, runs=tuple(runs))), graph.nodes
        tried += 1
    assert tried > 8, f"{tried} of {len(graphs)}"


@pytest.mark.parametrize("fault", ["ring", "place"])
def test_fed_rows_in_a_wrong_place_are_noticed(
    fault: str, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SEARCH_STEPS", 20)
    size = lifetimes.ring_size
    if fault == "ring":
        monkeypatch.setattr(place, "ring_size", lambda rows: size(rows) if rows.whole else max(1, size(rows) - 1))
    found = []
    for graph in graphs:
        planned = plan(graph, fed=True)
        if fault == "ring":
            found.append(caught(planned))
            continue
        fed_buffer = planned.by_name[planned.fed[0]]
        for other in planned.buffers:
            if other.offset != fed_buffer.offset:
                moved = replace(fed_buffer, offset=other.offset)
                others = tuple(moved if b is fed_buffer else b for b in planned.buffers)
                found.append(caught(replace(planned, buffers=others)))
    assert sum(found) > len(found) // 3 > 4, f"{sum(found)} of {len(found)}"
