"""Kernels for plain 32-bit cores compute what the reference does, whatever the shape, and are chosen where meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from many import compiled, differences, kernels_used, merged
from numpy.random import Generator

from tinsmith import ops
from tinsmith.arch._thresholds import Staircase
from tinsmith.arch.word._pack import LANE_LIMIT, cut
from tinsmith.arch.word._scales import find_lines
from tinsmith.arch.word._sums import find_form
from tinsmith.graph import Array, Graph
from tinsmith.ops._examples import example, quantized, single
from tinsmith.ops.base import Op
from tinsmith.pipeline import Compiled

TARGETS = ["rv32imc", "cortex-m3"]
ACTIVATIONS = ["NONE", "RELU", "RELU6"]
GEOMETRY = {"stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}


def some(op: Op, rng: Generator, count: int) -> list[Graph]:
    """The op's own random examples."""
    found: Iterator[Graph] = op.examples(rng)
    return [next(found) for _ in range(count)]


def weights(rng: Generator, shape: tuple[int, ...], kind: str) -> Array:
    """Weights as models have them, or extreme ones."""
    if kind == "extreme":
        return rng.choice(np.array([-128, -127, 127], np.int8), shape)
    if kind == "low":
        return np.full(shape, -128, np.int8)
    return np.clip(np.rint(rng.normal(0, 40, shape)), -127, 127).astype(np.int8)


def conv(rng: Generator, h: int, w: int, c: int, n: int, kh: int, kw: int, kind: str = "", **attrs: object) -> Graph:
    """A convolution of n channels by kh x kw."""
    op = ops.find("CONV_2D")
    assert op.Attrs is not None
    settings = {**GEOMETRY, "fused_activation_function": str(rng.choice(ACTIVATIONS)), **attrs}
    for _ in range(100):
        graph = example(op, rng, quantized(rng, "x", (1, h, w, c)), weights(rng, (n, kh, kw, c), kind),
                        op.Attrs(**settings), per_channel=bool(rng.random() < 0.8))  # fmt: skip
        if graph is not None:
            return graph
    raise AssertionError("no valid example")


def convolutions(rng: Generator) -> list[Graph]:
    """Shapes of real models, tails of every length, and extreme weights that need chunks."""
    return [
        conv(rng, 49, 10, 1, 8, 10, 4, stride_w=2, stride_h=2),
        conv(rng, 12, 12, 3, 8, 3, 3, stride_w=2, stride_h=2),
        conv(rng, 5, 5, 64, 12, 1, 1),
        conv(rng, 8, 8, 16, 16, 3, 3),
        conv(rng, 8, 8, 16, 12, 1, 1, stride_w=2, stride_h=2),
        conv(rng, 7, 9, 5, 7, 3, 3, dilation_w_factor=2, dilation_h_factor=3),
        conv(rng, 6, 6, 20, 5, 3, 3, "extreme"),
        conv(rng, 4, 5, 40, 6, 3, 3, "low"),
        *(conv(rng, 1, w, 9, w, 1, 1, padding="VALID") for w in range(1, 8)),
        *(conv(rng, h, 1, 3, 2, 3, 1) for h in range(1, 8)),
    ]


def overlapping(rng: Generator) -> list[Graph]:
    """Windows of neighbours that share columns, at all edges of images of many sizes."""
    strides = ((1, 1), (2, 1), (3, 2), (1, 3))
    return [
        *(
            conv(rng, 6, w, c, 5, 3, 3, padding=p, stride_w=s, stride_h=t)
            for w in (7, 9, 12, 18)
            for s, t in strides
            for c in (1, 3)
            for p in ("SAME", "VALID")
        ),
        *(conv(rng, 13, 16, 1, 9, 10, 8, kind, stride_w=2, stride_h=2) for kind in ("extreme", "low")),
        conv(rng, 49, 40, 1, 8, 10, 8, stride_w=2, stride_h=2),
        conv(rng, 3, 24, 1, 3, 9, 7, "low"),
        conv(rng, 1, 12, 2, 4, 1, 5),
        conv(rng, 9, 10, 16, 6, 3, 3),
        conv(rng, 9, 20, 1, 2, 5, 1, stride_w=2),
        conv(rng, 5, 11, 2, 4, 4, 4, pads=((5, 1), (7, 2))),
        conv(rng, 4, 6, 1, 3, 2, 2, pads=((0, 6), (0, 9)), stride_h=2),
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_overlapping_windows_are_packed_as_strips(target: str) -> None:
    rng = np.random.default_rng(2)
    made = overlapping(rng)
    model = compiled(merged(made), target)
    assert set(kernels_used(model)) == {"tin_conv_2d_word"}
    assert len(spans(model)) == len(made) and sum(n > 1 for n in spans(model)) > len(made) // 2
    assert not differences(made, target)
    assert not differences(made, target, optimize="speed", samples=3)


@pytest.mark.parametrize("target", [*TARGETS, "cortex-m0plus"])
@pytest.mark.parametrize(
    ("shape", "used"),
    [
        ((7, 7, 2, 5, 3, 3), {"columns"}),
        ((5, 6, 70, 4, 1, 1), {"columns", "linear"}),
        ((5, 6, 40, 4, 3, 3), {"rows"}),
    ],
    ids=["strips", "single pixels", "long rows"],
)
def test_parts_of_the_kernel_that_a_model_does_not_use_are_left_out(
    target: str, shape: tuple[int, int, int, int, int, int], used: set[str]
) -> None:
    made = [conv(np.random.default_rng(9), *shape)]
    model = compiled(made[0], target)
    (kernel,) = {k.kernel for k in model.plan.kernels.values()}
    omitted = {f"{kernel}_{part}".upper() for part in {"linear", "columns", "rows"} - used}
    assert set(model.plan.omitted_parts(thrifty=True)) == omitted
    assert not differences(made, target, samples=4)


def spans(model: Compiled) -> list[int]:
    """How many neighbours share a strip, of each convolution."""
    return [int(n) for n in re.findall(r"\.span = (\d+),", model.files["many.c"])]


@pytest.mark.parametrize("target", TARGETS)
def test_convolutions(target: str) -> None:
    rng = np.random.default_rng(1)
    made, random = convolutions(rng), some(ops.find("CONV_2D"), rng, 30)
    assert set(kernels_used(compiled(merged(made), target))) == {"tin_conv_2d_word"}
    assert not differences(made + random, target)


def depthwise(rng: Generator, h: int, w: int, c: int, kh: int, kw: int, kind: str = "", **attrs: object) -> Graph:
    """A depthwise convolution with ReLU, whose zero point is the least output as in models unless attrs differ."""
    op = ops.find("DEPTHWISE_CONV_2D")
    assert op.Attrs is not None
    settings = {**GEOMETRY, "fused_activation_function": "RELU", **attrs}
    multiplier = int(str(attrs.get("depth_multiplier", 1)))
    for _ in range(100):
        graph = example(op, rng, quantized(rng, "x", (1, h, w, c)), weights(rng, (1, kh, kw, c * multiplier), kind),
                        op.Attrs(**settings), per_channel=bool(rng.random() < 0.8), axis=3)  # fmt: skip
        if graph is not None:
            return graph
    raise AssertionError("no valid example")


def depthwises(rng: Generator) -> list[Graph]:
    """Windows that slide, over images of every small size; others; edges on every side."""
    two: dict[str, Any] = {"stride_w": 2, "stride_h": 2}
    return [
        *(depthwise(rng, h, w, 3, 3, 3) for h in (1, 2, 5) for w in range(1, 7)),
        *(depthwise(rng, h, w, 2, 3, 3, **two) for h in (1, 4) for w in range(1, 8)),
        *(depthwise(rng, 4, w, 2, 3, 3, padding="VALID", stride_w=s) for w in range(3, 8) for s in (1, 2)),
        depthwise(rng, 25, 5, 8, 3, 3, "extreme"),
        depthwise(rng, 9, 9, 4, 3, 3, dilation_h_factor=4),
        depthwise(rng, 9, 9, 4, 3, 3, dilation_w_factor=2),
        depthwise(rng, 3, 12, 5, 5, 5, fused_activation_function="NONE"),
        depthwise(rng, 12, 12, 3, 3, 3, fused_activation_function="NONE"),
        depthwise(rng, 12, 7, 3, 3, 3, depth_multiplier=2),
        depthwise(rng, 20, 1, 6, 9, 1),
        depthwise(rng, 1, 20, 6, 1, 9, padding="VALID"),
        depthwise(rng, 2, 2, 3, 3, 3, dilation_h_factor=7, dilation_w_factor=7),
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_depthwise_convolutions(target: str) -> None:
    rng = np.random.default_rng(5)
    made, random = depthwises(rng), some(ops.find("DEPTHWISE_CONV_2D"), rng, 30)
    model = compiled(merged(made), target)
    assert set(kernels_used(model)) <= {"tin_depthwise_conv_2d_word", "tin_conv_2d_word"}
    assert kernels_used(model).count("tin_depthwise_conv_2d_word") > 40
    assert model.files["many.c"].count(".slides = 1") > 20
    assert not differences(made + random, target)


def dense(rng: Generator, rows: int, depth: int, units: int, kind: str = "", **attrs: object) -> Graph:
    """A fully connected layer. Kind "narrow": small weights with a few outliers."""
    op = ops.find("FULLY_CONNECTED")
    assert op.Attrs is not None
    w = weights(rng, (units, depth), kind)
    if kind == "narrow":
        w = np.where(rng.random(w.shape) < 0.01, w, w // 8).astype(np.int8)
    settings = {"fused_activation_function": str(rng.choice(ACTIVATIONS)), **attrs}
    for _ in range(100):
        x = quantized(rng, "x", (rows, depth))
        graph = example(op, rng, x, w, op.Attrs(**settings), per_channel=bool(rng.random() < 0.5))
        if graph is not None:
            return graph
    raise AssertionError("no valid example")


@pytest.mark.parametrize("target", TARGETS)
def test_fully_connected_layers(target: str) -> None:
    rng = np.random.default_rng(6)
    made = [dense(rng, r, k, n, "narrow") for r, k, n in ((1, 640, 12), (1, 2000, 4), (3, 128, 7), (1, 8, 33))]
    made += [dense(rng, 1, depth, 5, "narrow") for depth in (1, 2, 3, 5, 6, 7, 9)]
    large = [dense(rng, 1, 64, 5, "low"), dense(rng, 2, 12, 3, "extreme")]
    model = compiled(merged(made), target)
    assert set(kernels_used(model)) == {"tin_fully_connected_word"}
    assert ".has_outliers = 1" in model.files["many.c"] and ".has_outliers = 0" in model.files["many.c"]
    assert "tin_fully_connected" in kernels_used(compiled(merged(large), target))
    assert not differences(made + large + some(ops.find("FULLY_CONNECTED"), rng, 40), target)


@pytest.mark.parametrize("target", TARGETS)
def test_additions(target: str) -> None:
    rng = np.random.default_rng(7)
    random = some(ops.find("ADD"), rng, 30)
    used = kernels_used(compiled(merged(random), target))
    assert used.count("tin_add_word") > 10 and "tin_add" in used, "both kernels should be tried"
    assert not differences(random, target)


@pytest.mark.parametrize("target", TARGETS)
def test_average_pools(target: str) -> None:
    rng = np.random.default_rng(8)
    op = ops.find("AVERAGE_POOL_2D")
    assert op.Attrs is not None
    made = []
    for h, w, c, kh, kw in ((25, 5, 64, 25, 5), (8, 8, 12, 8, 8), (16, 16, 4, 16, 16), (7, 5, 8, 3, 2)):
        x = quantized(rng, "x", (1, h, w, c))
        attrs = op.Attrs(padding="SAME", filter_height=kh, filter_width=kw, stride_h=kh - 1, stride_w=kw - 1)
        graph = single(op, attrs, [x], replace(x, name="y"))
        assert graph is not None
        made.append(graph)
    assert set(kernels_used(compiled(merged(made), target))) == {"tin_average_pool_2d_word"}
    assert not differences(made + some(op, rng, 20), target)


def test_a_sum_has_a_form_only_if_all_pairs_agree() -> None:
    x = np.arange(-128, 128)
    total = np.clip((3 * x[:, None] + 5 * x[None, :]) >> 3, -128, 127).astype(np.int8)
    assert find_form((3 / 8, 5 / 8), total, -128, 127) is not None
    total[200, 17] ^= 1
    assert find_form((3 / 8, 5 / 8), total, -128, 127) is None


def test_lines_equal_the_reference_on_all_accumulators() -> None:
    """Not only on both sides of thresholds: the proof's own claim is tried out."""
    rng = np.random.default_rng(3)
    channels = 40
    multiplier, shift = rng.integers(2**30, 2**31, channels), -rng.integers(0, 11, channels)
    limits = np.full(channels, 2**17)
    stairs = Staircase(multiplier, shift, -limits, limits, 3, -128, 127)
    acc = np.arange(-(2**17), 2**17)[None, :]
    for kinked, part in ((True, stairs), (False, replace(stairs, zero=-128))):
        lines = find_lines(part, kinked)
        solved = np.flatnonzero(lines.m)
        assert len(solved) > channels // 2
        assert np.array_equal(lines.outputs(acc, part.steps)[solved], part.of(solved).outputs(acc))


def test_chunks_fit_their_lanes() -> None:
    rng = np.random.default_rng(4)
    for taps in (1, 27, 63, 64, 65, 576, 2000):
        w = rng.choice(np.array([-128, 127], np.int8), (3, taps))
        chunk, chunks = cut(w)
        assert chunk * (chunks - 1) < taps <= chunk * chunks
        for start in range(0, taps, chunk):
            assert np.abs(w[:, start : start + chunk].astype(int)).sum(axis=1).max() <= LANE_LIMIT
