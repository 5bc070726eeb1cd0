"""Kernels that compute rows in parts: the same bytes as whole rows, from rings, over their inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import many
import numpy as np
import parity
import pytest
from numpy.random import Generator
from test_kernels_dsp import FROM_RING, called, layer, over_their_inputs, wrong_outputs
from test_rows import Layout, overlapped, ring_sizes, run_from_rings

from tinsmith import ops
from tinsmith.check import verify
from tinsmith.graph import Graph
from tinsmith.ops import Call, find, lean_form
from tinsmith.passes import lower
from tinsmith.pipeline import Compiled
from tinsmith.plan.parts import split

CONV, TARGET = find("CONV_2D"), "cortex-m4"
KNOWING = {"tin_conv_2d_dsp_lean"}  # the kernels for instruction sets that compute rows in parts


def divisors(width: int) -> list[int]:
    return [n for n in range(2, width + 1) if width % n == 0]


def in_parts(graph: Graph, rng: Generator) -> Graph | None:
    """A graph of one convolution with its rows in a random number of parts, or None if its width has no divisors."""
    call = Call.of(graph, graph.nodes[0])
    counts = divisors(call.y.shape[2])
    return verify(split(graph, call, int(rng.choice(counts)))) if counts else None


def examples(rng: Generator, count: int) -> list[tuple[Graph, Graph]]:
    """Lowered random convolutions, and the same with rows in parts."""
    graphs = (lower(graph) for graph in CONV.examples(rng))
    pairs = ((graph, in_parts(graph, rng)) for graph in graphs if [n.op for n in graph.nodes] == ["CONV_2D"])
    return list(itertools.islice(((whole, parted) for whole, parted in pairs if parted), count))


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
            yield verify(split(made, call, parts))
    for dilation, kernel, in_c in ((2, (3, 3), 4), (3, (2, 2), 3), (2, (4, 1), 8)):
        made = layer(rng, (9, 12, in_c), 6, kernel, dilation=dilation)
        yield verify(split(made, Call.of(made, made.nodes[0]), 4))


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
