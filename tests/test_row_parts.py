"""Rows of a convolution in parts: for a smaller arena where RAM is all that matters, and with the same outputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import needs
import numpy as np
import parity
import pytest
from random_graphs import Builder
from test_kernels_row_parts import KNOWING, TARGET

from tinsmith import modes, targets
from tinsmith.bench import bench
from tinsmith.budget import Budget, search
from tinsmith.check import verify as check
from tinsmith.emit.demand import stairs
from tinsmith.errors import BudgetMissed
from tinsmith.graph import Graph, Quant
from tinsmith.host_kernels import Program
from tinsmith.interpret import interpret
from tinsmith.load.tflite import load_file
from tinsmith.ops import Call
from tinsmith.passes import lower
from tinsmith.pipeline import compile_graph, compile_model, kernels_for, plan_graph, written
from tinsmith.plan import plan
from tinsmith.plan.audit import audit
from tinsmith.plan.parts import kernels_of, parts_of, split_rows
from tinsmith.plan.tasks import MOST_ROWS
from tinsmith.runners import runner
from tinsmith.samples import made_up
from tinsmith.verify import verify

SPEECH = "tflm/micro_speech_quantized.tflite"


# -- the rewrite -----------------------------------------------------------------------------------


def summed(shape: tuple[int, int, int], out_c: int = 4, units: int = 3, seed: int = 6, **geometry: Any) -> Graph:
    """A convolution that a fully connected layer reads, through a view."""
    b = Builder(np.random.default_rng(seed))
    x = b.conv(b.input(1, *shape), out_c, 3, padding="SAME", **geometry)
    flat = b.add("RESHAPE", b.attrs("RESHAPE"), [x], shape=(1, b.tensors[x].size))
    return b.graph(b.fully_connected(flat, units))


def chain() -> Graph:
    """Several convolutions with a fully connected layer behind them."""
    b = Builder(np.random.default_rng(3))
    x = b.input(1, 24, 8, 4)
    for channels in (16, 16, 8):
        x = b.conv(b.depthwise(x, 3, padding="SAME"), channels, 3, padding="SAME")
    return b.graph(b.fully_connected(x, 4))


def counts(graph: Graph) -> list[int]:
    return [node.attrs.row_parts for node in graph.nodes if node.op == "CONV_2D"]


@pytest.mark.parametrize(
    ("shape", "out_c", "parts"),
    [
        ((25, 20, 1), 8, 10), ((12, 20, 1), 8, 20), ((5, 7, 2), 4, 7), ((5, 12, 2), 2, 6), ((5, 12, 2), 1, 3),
        ((5, 7, 2), 3, 1), ((130, 8, 2), 4, 1), ((5, 1, 3), 4, 1),
    ],
)  # fmt: skip
def test_there_are_as_many_parts_as_can_be(shape: tuple[int, int, int], out_c: int, parts: int) -> None:
    graph = lower(summed(shape, out_c))
    after = check(split_rows(graph))
    assert counts(after) == [parts] and (after is graph) == (parts == 1)
    rows, width = after[after.nodes[0].outputs[0]].shape[1:3]
    assert parts == 1 or (rows <= MOST_ROWS and width * out_c % 4 == 0)
    assert split_rows(after) is after or parts_of(Call.of(after, after.nodes[0])) == 1
    rng = np.random.default_rng(7)
    for x in parity.samples(graph, rng, 2):
        assert parity.equal(parity.numpy_outputs(after, x), parity.numpy_outputs(graph, x))


def test_only_what_one_layer_sums_up_is_split() -> None:
    b = Builder(np.random.default_rng(8))
    x = b.conv(b.input(1, 6, 8, 4), 4, 3, padding="SAME")
    read_twice = lower(b.graph(b.fully_connected(x, 3), b.fully_connected(x, 2)))
    kept = lower(b.graph(b.fully_connected(x, 3), x))
    pooled = lower(b.graph(b.conv(x, 4, 3, padding="SAME")))
    for graph in (read_twice, kept, pooled):
        assert counts(graph) and split_rows(graph) is graph
    # A layer that takes its input as several rows keeps no sums of all of it.
    b = Builder(np.random.default_rng(9))
    x = b.conv(b.input(1, 6, 8, 4), 4, 3, padding="SAME")
    weights = b.constant(np.ones((2, 32), np.int8), Quant((0.5,), (0,)))
    rows = lower(b.graph(b.add("FULLY_CONNECTED", b.attrs("FULLY_CONNECTED"), [x, weights])))
    assert rows.nodes[-1].op == "FULLY_CONNECTED" and split_rows(rows) is rows


def test_expressions_of_demands_are_what_is_needed() -> None:
    rng, wide = np.random.default_rng(10), 0
    for _ in range(200):
        parts, count, stride, first, most = (int(n) for n in rng.integers((1, 1, 1, -3, 1), (9, 12, 4, 6, 30)))
        needed = [max(0, min(most, k * stride + first)) for k in range(count) for _ in range(parts)]
        needed = [min(n, needed[-1]) for n in needed]
        text = stairs(needed)
        wide += "/" in text
        code = re.sub(r"tin_min\((.*), (\d+)\)$", r"min(\1, \2)", text.replace("/", "//"))
        found = [max(0, eval(code, {"end": end, "min": min})) for end in range(1, len(needed) + 1)]
        assert found == needed, (text, needed)
    assert wide > 50


# -- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fed", [False, True])
def test_plans_in_parts_hold_what_they_promise(fed: bool) -> None:
    """Every read is audited; every row is compared just before the portable kernels read it."""
    rng = np.random.default_rng(11)
    for seed, (shape, out_c, stride) in enumerate([((11, 8, 3), 4, 1), ((9, 10, 2), 8, 2), ((6, 6, 4), 4, 1)]):
        graph = split_rows(lower(summed(shape, out_c, units=5, seed=seed, stride_h=stride, stride_w=stride)))
        assert counts(graph)[0] > 1
        for pixels in (None, 1, 4, 32):
            planned = plan(graph, pixels=pixels, fed=fed)
            audit(planned)
            if not fed:
                for x in parity.samples(graph, rng, 1):
                    values = interpret(graph, x)
                    assert parity.equal(Program(planned, parity.kernels()).run(x, values), [values[graph.outputs[0]]])


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize("target", ["host", TARGET, "cortex-m33", "cortex-m0plus", "rv32imc"])
def test_models_in_parts_are_right_on_every_target(target: str, fed: bool) -> None:
    """Within a budget that only parts fit; strides of three make demands of several rows at a time."""
    for number, graph in enumerate((summed((15, 14, 4), 8, 5), summed((10, 9, 4), 4, 2, stride_h=3))):
        chosen, mode = targets.load(target), modes.mode("balanced")
        lowered = lower(graph)
        kernels = kernels_for(lowered, chosen, mode)
        with pytest.raises(BudgetMissed) as missed:
            plan(lowered, kernels, ram=1, fed=fed)
        name, least = f"m{number}", missed.value.needed
        made = compile_graph(lowered, graph, Path("m.tflite"), chosen, name, mode, ram=least - 4, feed_rows=fed)
        assert counts(made.plan.graph)[-1] > 1
        with runner(made) as device:
            cases = [case for _, case in made_up(graph, 3, 12)]
            for case, found in zip(cases, device.run(cases), strict=True):
                assert parity.equal(found, parity.numpy_outputs(graph, case))


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["host", TARGET])
def test_convolutions_in_parts_find_rows_that_lie_anywhere(target: str) -> None:
    chosen, mode, graph = targets.load(target), modes.mode("balanced"), split_rows(lower(chain()))
    kernels = kernels_of(graph, kernels_for(lower(chain()), chosen, mode))
    with pytest.raises(BudgetMissed) as missed:
        plan(graph, kernels, ram=1)
    least = plan(graph, kernels, ram=missed.value.needed)
    audit(least)
    last = next(task for task in least.tasks.values() if task.op.name == "CONV_2D" and task.call.attrs.row_parts > 1)
    assert least.buffer(last.call.x.name).places and (target == "host" or last.op.kernel in KNOWING)
    with runner(written(least, chain(), Path("m.tflite"), chosen, "m", mode)) as device:
        cases = [case for _, case in made_up(graph, 3, 13)]
        for case, found in zip(cases, device.run(cases), strict=True):
            assert parity.equal(found, parity.numpy_outputs(graph, case))


def test_a_budget_takes_parts_only_if_nothing_else_fits() -> None:
    graph, mode = lower(summed((15, 14, 4), 8, 5)), modes.mode("balanced")
    kernels = kernels_for(graph, targets.load("host"), mode)
    with pytest.raises(BudgetMissed) as missed:
        plan(graph, kernels, ram=1)
    least = missed.value.needed
    assert counts(plan_graph(graph, kernels, mode, least, False).graph) == [1]
    parted = plan_graph(graph, kernels, mode, least - 1, False)
    assert counts(parted.graph)[0] > 1 and parted.arena_bytes < least
    with pytest.raises(BudgetMissed) as missed:
        plan_graph(graph, kernels, mode, 1, False)
    assert missed.value.needed < least and plan_graph(graph, kernels, mode, missed.value.needed, False).steps


# -- a public model --------------------------------------------------------------------------------


def speech(zoo: Path) -> Path:
    if not (zoo / SPEECH).exists():
        needs.lacking(f"{SPEECH} is not in {zoo}")
    return zoo / SPEECH


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize(("fed", "most"), [(False, 2000), (True, 450)])
def test_speech_runs_in_little_more_than_its_input(fed: bool, most: int, zoo: Path) -> None:
    compiled = compile_model(speech(zoo), targets.load(TARGET), optimize="ram", feed_rows=fed)
    assert compiled.plan.arena_bytes <= most and counts(compiled.plan.graph) == [10]
    assert next(compiled.plan.kernel(node).kernel for node in compiled.nodes) in KNOWING
    assert verify(compiled, samples=8).passed
    fastest = bench(compile_model(speech(zoo), targets.load(TARGET), optimize="speed", feed_rows=fed))
    assert bench(compiled).instructions <= 1.4 * fastest.instructions


@pytest.mark.usefixtures("cross_tools")
def test_speech_is_split_for_a_budget_where_parts_have_no_fast_kernel(zoo: Path) -> None:
    for target in ("cortex-m0plus", "rv32imc"):
        usual = compile_model(speech(zoo), targets.load(target), optimize="ram")
        assert counts(usual.plan.graph) == [1] and usual.plan.arena_bytes > 2000
        compiled = search(speech(zoo), targets.load(target), Budget(ram=2000)).require().best.compiled
        assert counts(compiled.plan.graph) == [10] and verify(compiled, samples=2).passed


def test_other_modes_and_models_stay_as_they_are(zoo: Path) -> None:
    for mode in ("speed", "balanced", "size"):
        for fed in (False, True):
            compiled = compile_model(speech(zoo), targets.load(TARGET), optimize=mode, feed_rows=fed)
            assert counts(compiled.plan.graph) == [1]
    for name in ("kws_int8", "resnet8_int8", "vww96_int8", "ad01_int8", "person_detect"):
        path = next(zoo.rglob(f"{name}.tflite"), None)
        if path is not None:
            graph = lower(load_file(path))
            assert split_rows(graph) is graph
