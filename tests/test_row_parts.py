"""Rows of a convolution in parts: the same bytes from every kernel that knows them, and an arena that is smaller for it
where RAM is all that matters."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import many
import needs
import numpy as np
import parity
import pytest
from numpy.random import Generator
from random_graphs import Builder
from test_kernels_dsp import FROM_RING, called, layer, over_their_inputs, wrong_outputs
from test_rows import Layout, overlapped, ring_sizes, run_from_rings

from tinsmith import modes, ops, targets
from tinsmith.bench import bench
from tinsmith.budget import Budget, search
from tinsmith.check import verify as check
from tinsmith.emit.demand import stairs
from tinsmith.errors import BudgetMissed
from tinsmith.graph import Graph, Quant
from tinsmith.host_kernels import Program
from tinsmith.interpret import interpret
from tinsmith.load.tflite import load_file
from tinsmith.ops import Call, find, lean_form
from tinsmith.passes import lower
from tinsmith.pipeline import Compiled, compile_graph, compile_model, kernels_for, plan_graph, runner
from tinsmith.plan import plan
from tinsmith.plan.audit import audit
from tinsmith.plan.parts import parts_of, split, split_rows
from tinsmith.plan.tasks import MOST_ROWS
from tinsmith.samples import made_up
from tinsmith.verify import verify

CONV, TARGET = find("CONV_2D"), "cortex-m4"
KNOWING = {"tin_conv_2d_dsp_lean"}  # the kernels for instruction sets that compute rows in parts
SPEECH = "tflm/micro_speech_quantized.tflite"


def divisors(width: int) -> list[int]:
    return [n for n in range(2, width + 1) if width % n == 0]


def in_parts(graph: Graph, rng: Generator) -> Graph | None:
    """A graph of one convolution with its rows in a random number of parts, or None if its width has no divisors."""
    call = Call.of(graph, graph.nodes[0])
    counts = divisors(call.y.shape[2])
    return check(split(graph, call, int(rng.choice(counts)))) if counts else None


def examples(rng: Generator, count: int) -> list[tuple[Graph, Graph]]:
    """Lowered random convolutions, and the same with rows in parts."""
    graphs = (lower(graph) for graph in CONV.examples(rng))
    pairs = ((graph, in_parts(graph, rng)) for graph in graphs if [n.op for n in graph.nodes] == ["CONV_2D"])
    return list(itertools.islice(((whole, parted) for whole, parted in pairs if parted), count))


# -- kernels ---------------------------------------------------------------------------------------


def test_parts_are_the_same_bytes_in_the_same_order() -> None:
    rng = np.random.default_rng(1)
    for whole, parted in examples(rng, 40):
        for x in parity.samples(whole, rng, 2):
            (expected,), (found,) = parity.numpy_outputs(whole, x), parity.numpy_outputs(parted, x)
            assert found.tobytes() == expected.tobytes() and found.shape != expected.shape


def test_portable_rows_in_parts_come_from_rings_and_lie_over_inputs() -> None:
    rng = np.random.default_rng(2)
    broken = 0
    for _, parted in examples(rng, 60):
        layout = Layout(CONV, parted, rng)
        run_from_rings(layout, ring_sizes(layout), out_count=1)
        run_from_rings(layout, ring_sizes(layout), out_count=min(3, layout.out_rows))
        separation = CONV.separation(layout.call, 0)
        assert separation is not None
        for step in (1, 3, layout.out_rows):
            assert overlapped(layout, 0, separation, step), parted.nodes[0].attrs
        broken += not overlapped(layout, 0, separation - layout.out_bytes, layout.out_rows)
    assert broken, "a smaller separation did no harm: it asks for too much"


def layers(rng: Generator) -> Iterator[Graph]:
    """Layers in parts: windows at every edge, odd pixels, rows of taps that are whole words and others, long ones,
    dilated ones; channels of every rest of a quad, and scales of both forms."""
    geometries: list[tuple[tuple[int, int, int], int, tuple[int, int], int]] = [
        ((49, 40, 1), 8, (10, 8), 2), ((9, 12, 1), 4, (5, 4), 1), ((6, 18, 4), 3, (3, 3), 1), ((5, 9, 3), 5, (3, 3), 1),
        ((4, 8, 32), 9, (2, 3), 1), ((4, 6, 88), 4, (1, 1), 1), ((3, 12, 2), 17, (2, 9), 1), ((7, 6, 5), 6, (7, 7), 1),
        ((8, 4, 1), 2, (3, 6), 1), ((3, 10, 12), 13, (3, 8), 1), ((4, 27, 7), 1, (2, 2), 3),
    ]  # fmt: skip
    for number, geometry in enumerate(geometries):
        activation, zero = [("RELU", -128), ("NONE", 4), ("RELU6", -128), ("RELU", 20)][number % 4]
        made = layer(rng, *geometry, activation=activation, zero=zero)
        call = Call.of(made, made.nodes[0])
        for parts in divisors(call.y.shape[2]):
            yield check(split(made, call, parts))
    for dilation, kernel, in_c in ((2, (3, 3), 4), (3, (2, 2), 3), (2, (4, 1), 8)):
        made = layer(rng, (9, 12, in_c), 6, kernel, dilation=dilation)
        yield check(split(made, Call.of(made, made.nodes[0]), 4))


def lean(graphs: list[Graph]) -> Compiled:
    """Graphs in parts compiled for the kernel without scratch."""
    model = many.compiled(many.merged(graphs), TARGET)
    (usual,) = (k for k in ops.special_kernels().values() if (k.arch, k.name) == ("dsp", "CONV_2D"))
    forms = {n.outputs[0]: lean_form(Call.of(model.plan.graph, n), usual) for n in model.plan.graph.nodes}
    assert {kernel.kernel for kernel in forms.values()} == KNOWING
    return replace(model, plan=replace(model.plan, kernels=forms))


def suited(rng: Generator) -> list[Graph]:
    parted = [*layers(rng), *(parted for _, parted in examples(rng, 30))]
    kernel = ops.all_special_kernels()["dsp", "CONV_2D", "lean"]
    found = [graph for graph in parted if kernel.suits(Call.of(graph, graph.nodes[0]))]
    assert len(found) > len(parted) * 3 / 4
    return found


@pytest.mark.usefixtures("cross_tools")
def test_the_kernel_without_scratch_equals_numpy_over_its_inputs() -> None:
    assert wrong_outputs(over_their_inputs(lean(suited(np.random.default_rng(3)))), 3) == []


@pytest.mark.usefixtures("cross_tools")
def test_inputs_of_the_kernel_without_scratch_may_be_rings_of_rows() -> None:
    helper = FROM_RING.replace("tin_conv_2d_dsp", "tin_conv_2d_dsp_lean").replace("row *", "row / p.row_parts *")
    model = over_their_inputs(lean(suited(np.random.default_rng(4))))
    assert wrong_outputs(called(model, r"from_ring(&\2, arena, \3);", helper)) == []


def test_no_kernel_ignores_parts() -> None:
    """Those that do not know them say so, and all of them suit whole rows."""
    whole, parted = set(), set()
    for graph, other in examples(np.random.default_rng(5), 60):
        for kernel in ops.all_special_kernels().values():
            if kernel.name == "CONV_2D":
                whole |= {kernel.kernel} if kernel.suits(Call.of(graph, graph.nodes[0])) else set()
                parted |= {kernel.kernel} if kernel.suits(Call.of(other, other.nodes[0])) else set()
    assert parted == KNOWING and whole == {k.kernel for k in ops.all_special_kernels().values() if k.name == "CONV_2D"}


# -- the rewrite -----------------------------------------------------------------------------------


def summed(shape: tuple[int, int, int], out_c: int = 4, units: int = 3, seed: int = 6, **geometry: Any) -> Graph:
    """A convolution that a fully connected layer reads, through a view."""
    b = Builder(np.random.default_rng(seed))
    x = b.conv(b.input(1, *shape), out_c, 3, padding="SAME", **geometry)
    flat = b.add("RESHAPE", b.attrs("RESHAPE"), [x], shape=(1, b.tensors[x].size))
    return b.graph(b.fully_connected(flat, units))


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
    """Within the budget that only parts fit; strides of three make demands of several rows at a time."""
    for number, graph in enumerate((summed((15, 14, 4), 8, 5), summed((10, 9, 4), 4, 2, stride_h=3))):
        chosen, mode = targets.load(target), modes.mode("balanced")
        lowered = lower(graph)
        kernels = kernels_for(lowered, chosen, mode)
        with pytest.raises(BudgetMissed) as missed:
            plan(lowered, kernels, ram=1, fed=fed)
        name, least = f"m{number}", missed.value.needed
        made = compile_graph(lowered, graph, Path("m.tflite"), chosen, name, mode, ram=least - 4, feed_rows=fed)
        assert counts(made.plan.graph)[0] > 1
        with runner(made) as device:
            cases = [case for _, case in made_up(graph, 3, 12)]
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
