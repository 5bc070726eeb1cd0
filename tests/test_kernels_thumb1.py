"""Kernels for ARMv6-M compute what the reference does, whatever the shape, and are chosen where meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from many import compiled, differences, kernels_used, merged
from test_kernels_word import convolutions, dense, depthwise, depthwises, overlapping, some, spans

from tinsmith import ops
from tinsmith.arch._thresholds import Staircase
from tinsmith.arch.thumb1._pack import LANE_LIMIT, cut
from tinsmith.arch.thumb1._scales import find_splits
from tinsmith.arch.thumb1.depthwise_conv_2d import DepthwiseConv2DThumb1
from tinsmith.graph import Array, Graph
from tinsmith.interpret import interpret
from tinsmith.pipeline import Compiled
from tinsmith.runners import runner
from tinsmith.samples import made_up

TARGET = "cortex-m0plus"


def test_convolutions() -> None:
    rng = np.random.default_rng(1)
    made, random = convolutions(rng), some(ops.find("CONV_2D"), rng, 25)
    assert set(kernels_used(compiled(merged(made), TARGET))) == {"tin_conv_2d_thumb1"}
    assert not differences(made + random, TARGET)


def test_overlapping_windows_are_packed_as_strips() -> None:
    rng = np.random.default_rng(2)
    made = overlapping(rng)
    model = compiled(merged(made), TARGET)
    assert set(kernels_used(model)) == {"tin_conv_2d_thumb1"}
    assert len(spans(model)) == len(made) and sum(n > 1 for n in spans(model)) > len(made) // 2
    assert not differences(made, TARGET)
    assert not differences(made, TARGET, optimize="speed", samples=3)


def test_depthwise_convolutions() -> None:
    rng = np.random.default_rng(5)
    made = [
        *depthwises(rng),
        *(
            depthwise(rng, 5, 5, c, 3, 3, stride_w=s, stride_h=t)
            for c in (1, 4, 7)
            for s in (1, 2, 4)
            for t in (1, 2, 3)
        ),
        *(depthwise(rng, 6, 4, 4, h, w) for h in (1, 2, 3) for w in (1, 2, 3)),
        *(depthwise(rng, 6, 9, 5, 3, 3, "low", fused_activation_function=a) for a in ("NONE", "RELU", "RELU6")),
        *(depthwise(rng, 9, 7, 3, 3, 3, stride_w=s, stride_h=s, fused_activation_function="NONE") for s in (1, 2) * 8),
    ]
    random = some(ops.find("DEPTHWISE_CONV_2D"), rng, 25)
    model = compiled(merged(made), TARGET)
    assert kernels_used(model).count("tin_depthwise_conv_2d_thumb1") > 60
    assert model.files["many.c"].count(".by_column = 1") > 10
    assert model.files["many.c"].count(".some_exact = 1") > 3
    assert model.files["many.c"].count(".scale_words = 6") > 3
    assert not differences(made + random, TARGET)


def test_fully_connected_layers() -> None:
    rng = np.random.default_rng(7)
    depths = (*range(1, 13), 20, 28, 30, 128, 640, 1000)
    made = [
        *(
            dense(rng, 1 + d % 3, d, 1 + d % 7, "narrow", fused_activation_function=a)
            for d in depths
            for a in ("NONE", "RELU")
        ),
        dense(rng, 3, 64, 5),
        dense(rng, 1, 4000, 3, "narrow"),
    ]
    model = compiled(merged(made), TARGET)
    assert set(kernels_used(model)) == {"tin_fully_connected_thumb1"}
    for words in (1, 4, 6):
        assert f".scale_words = {words}," in model.files["many.c"]
    assert ".has_outliers = 1" in model.files["many.c"]
    large = [dense(rng, 1, 32, 4, "extreme")]
    assert not differences(made + large + some(ops.find("FULLY_CONNECTED"), rng, 25), TARGET)


def run_edited(model: Compiled, graph: Graph, pattern: str, text: str, cases: Sequence[Sequence[Array]]) -> None:
    """Runs the model with its C text edited, and compares with the reference."""
    edited, count = re.subn(pattern, text, model.files["many.c"])
    assert count == len(model.nodes)
    with runner(replace(model, files={**model.files, "many.c": edited})) as device:
        for case, got in zip(cases, device.run(cases), strict=True):
            values = interpret(graph, case)
            for name, array in zip(graph.outputs, got, strict=True):
                assert np.array_equal(array.reshape(-1), values[name].reshape(-1)), name


@pytest.mark.parametrize("step", [1, 2])
def test_rows_one_by_one_are_the_whole(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where outputs run into inputs, but for depthwise convolutions, which work in place as a whole only."""
    monkeypatch.setattr(DepthwiseConv2DThumb1, "in_place", lambda *_: False)
    rng = np.random.default_rng(11)
    graph = merged([
        *convolutions(rng), *overlapping(rng), *some(ops.find("CONV_2D"), rng, 10), *depthwises(rng),
        dense(rng, 5, 12, 3, "narrow"),
    ])  # fmt: skip
    loop = f"for (int32_t r = 0; r < \\3; r += {step}) \\1(&\\2, arena, r, r + {step} < \\3 ? r + {step} : \\3);"
    cases = [sample for _, sample in made_up(graph, 2, 0)]
    run_edited(compiled(graph, TARGET), graph, r"(tin_\w+)\(&(\w+), arena, 0, (\d+)\);", loop, cases)


def test_input_rows_may_lie_in_a_ring() -> None:
    """Images whose rows repeat are computed from a ring that holds them once."""
    rng, ring = np.random.default_rng(12), 3
    graph = merged([*convolutions(rng), *overlapping(rng), *depthwises(rng)])
    # The plan believes in whole inputs: as outputs too, they are not written over.
    graph = replace(graph, outputs=(*graph.outputs, *graph.inputs))
    cases = []
    for _, sample in made_up(graph, 2, 0):
        cases.append([x[:, np.arange(x.shape[1]) % ring] for x in sample])
    view = f"\\1 \\2 < {ring} ? \\2 : {ring} }}"
    run_edited(compiled(graph, TARGET), graph, r"(\.in = \{ NULL, \d+, \d+,) (\d+) \}", view, cases)


def test_splits_equal_the_reference_on_all_accumulators() -> None:
    """Not only on both sides of thresholds: the proof's own claim is tried out."""
    rng = np.random.default_rng(3)
    channels = 40
    multiplier, shift = rng.integers(2**30, 2**31, channels), -rng.integers(0, 11, channels)
    limits = np.full(channels, 2**17)
    stairs = Staircase(multiplier, shift, -limits, limits, 3, -128, 127)
    acc = np.arange(-(2**17), 2**17)[None, :]
    for kinked, part in ((True, stairs), (False, replace(stairs, zero=-128)), (False, replace(stairs, low=3, high=90))):
        splits = find_splits(part, kinked)
        solved = np.flatnonzero(splits.m)
        assert len(solved) > channels * 3 // 4
        assert np.array_equal(splits.of(solved).outputs(acc, part), part.of(solved).outputs(acc))


def test_constant_channels_have_a_form_too() -> None:
    multiplier, shift = np.full(3, 2**30), np.array([-27, -5, 0])
    at = np.array([-(2**30), 700, -3])
    stairs = Staircase(multiplier, shift, at, at, -128, -128, 127)
    splits = find_splits(stairs, kinked=False)
    assert splits.m.all()
    assert np.array_equal(splits.outputs(at[:, None], stairs), stairs.outputs(at[:, None]))


def test_chunks_fit_their_lanes() -> None:
    rng = np.random.default_rng(4)
    for taps in (1, 27, 63, 64, 65, 576, 2000):
        w = rng.choice(np.array([-128, 127], np.int8), (3, taps))
        chunk, chunks = cut(w)
        assert chunk * (chunks - 1) < taps <= chunk * chunks
        for start in range(0, taps, chunk):
            assert np.abs(w[:, start : start + chunk].astype(int)).sum(axis=1).max() <= LANE_LIMIT
