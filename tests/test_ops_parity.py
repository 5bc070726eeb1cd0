"""Every op computes bit for bit what TensorFlow Lite Micro computes: in numpy, and in C."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import parity
import pytest
from parity import ALL_OPS, Compiled, compare, equal, judge, numpy_outputs

from tinsmith import ops, targets, toolchain
from tinsmith.graph import Array, Graph, Node, Quant, Tensor
from tinsmith.host_kernels import compile_kernels
from tinsmith.ops import Call, Op
from tinsmith.ops._weighted import Weighted
from tinsmith.ops._window import Windowed

EXAMPLES = 100

ids = [op.name for op in ALL_OPS]


@pytest.mark.parametrize("op", ALL_OPS, ids=ids)
def test_wheel_numpy_and_c_agree(op: Op) -> None:
    pytest.importorskip("tflite_micro", reason="the judge is the wheel of TensorFlow Lite Micro")
    assert compare(op, EXAMPLES) > 4, "the examples hardly differ in their results"


@pytest.mark.slow
@pytest.mark.parametrize("op", ALL_OPS, ids=ids)
def test_wheel_numpy_and_c_agree_on_many_more(op: Op) -> None:
    pytest.importorskip("tflite_micro")
    compare(op, 3 * EXAMPLES, seed=2)


def test_kernels_stay_within_their_memory(tmp_path: Path) -> None:
    """The address and undefined-behaviour sanitizers watch all kernels; arenas have not a byte to spare."""
    library = compile_kernels(tmp_path, sanitize=True)
    paths = [str(Path(__file__).parent), str(Path(toolchain.__file__).parents[1])]
    environment = {
        **os.environ, **toolchain.sanitizer_environment(targets.load("host")),
        "PYTHONPATH": os.pathsep.join(paths), "PYTHONMALLOC": "malloc",
    }  # fmt: skip
    script = f"import parity; parity.check_within_memory({str(library)!r}, 12)"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_examples_reach_what_the_rules_allow() -> None:
    """The corners of weighted ops and windows that parity claims to cover are among its examples."""
    for op in (o for o in ALL_OPS if isinstance(o, (Weighted, Windowed))):
        seen: set[str] = set()
        for graph in parity.examples(op, parity.generator(op), EXAMPLES):
            seen.update(corners(op, Call.of(graph, graph.nodes[0])))
        expected = {"clamped above"}
        if isinstance(op, Weighted):
            expected |= {"no bias", "bias", "one scale", "scale a channel", "-128", "left shift", "vanishing"}
        if isinstance(op, Windowed):
            expected |= {"SAME", "VALID", "stride above kernel", "window above image", "one pixel"}
        if isinstance(op, Windowed) and isinstance(op, Weighted):
            expected.add("dilated")
        assert expected <= seen, f"{op.name}: missing {expected - seen}"


def corners(op: Op, call: Call) -> set[str]:
    """What is special about an example."""
    seen = {"clamped above"} if call.attrs.fused_activation_function == "RELU6" else set()
    if isinstance(op, Weighted):
        weights, factors = call.input(1), op.multipliers(call)
        assert weights.data is not None and weights.quant is not None
        seen.add("bias" if call.optional(2) else "no bias")
        seen.add("one scale" if weights.quant.per_tensor else "scale a channel")
        seen |= {"-128"} if (weights.data == -128).any() else set()
        seen |= {"left shift"} if any(shift > 0 for _, shift in factors) else set()
        seen |= {"vanishing"} if any(multiplier == 0 for multiplier, _ in factors) else set()
    if isinstance(op, Windowed):
        axes = (op.window(call).x, op.window(call).y)
        seen.add(call.attrs.padding)
        seen |= {"one pixel"} if all(a.size == 1 for a in axes) else set()
        for a in axes:
            seen |= {"stride above kernel"} if a.stride > a.kernel > 1 else set()
            seen |= {"window above image"} if a.kernel > a.size else set()
            seen |= {"dilated"} if a.dilation > 1 and a.kernel > 1 else set()
    return seen


def one_node(op: str, inputs: list[Tensor], y: Tensor, attrs: object = None) -> Graph:
    node = Node(op, op.lower(), tuple(t.name for t in inputs), (y.name,), attrs)
    graph = Graph("g", {t.name: t for t in [*inputs, y]}, (node,), tuple(t.name for t in inputs), (y.name,))
    assert ops.find(op).broken_rule(Call.of(graph, node)) is None
    return graph


@pytest.mark.parametrize("zero_point", [-128, -3, 127])
@pytest.mark.parametrize("scale", [1e-6, 0.1, 3e7])
def test_quantize_saturates_what_is_not_finite_or_far_away(scale: float, zero_point: int) -> None:
    """TFLite Micro leaves these to undefined behaviour. Here infinities and far values saturate, and NaN is 0."""
    specials = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0, scale * 2**40, -scale * 2**40], np.float32)
    quant = Quant((float(np.float32(scale)),), (zero_point,))
    x, y = Tensor("x", specials.shape, specials.dtype), Tensor("y", specials.shape, np.dtype(np.int8), quant)
    graph = one_node("QUANTIZE", [x], y, ops.find("QUANTIZE").Attrs())
    expected = np.array([zero_point, 127, -128, 127, -128, zero_point, zero_point, 127, -128], np.int8)
    assert equal(numpy_outputs(graph, [specials]), [expected])
    assert equal(Compiled(graph, parity.kernels()).run([specials]), [expected])


def softmax_graph(depth: int, scale: float) -> Graph:
    x = Tensor("x", (1, depth), np.dtype(np.int8), Quant((float(np.float32(scale)),), (0,)))
    y = replace(x, name="y", quant=Quant((1 / 256,), (-128,)))
    return one_node("SOFTMAX", [x], y, ops.find("SOFTMAX").Attrs())


@pytest.mark.parametrize("depth", [512, 1001, 4095])
def test_long_softmax_is_defined(depth: int) -> None:
    """TFLite Micro shifts by 32 bits and more where exponentials add up to 512: undefined there, 0 here."""
    rng = np.random.default_rng(depth)
    graph = softmax_graph(depth, 0.1)
    compiled = Compiled(graph, parity.kernels())
    for x in (np.zeros((1, depth), np.int8), rng.integers(-128, 128, (1, depth)).astype(np.int8)):
        (expected,), (found,) = numpy_outputs(graph, [x]), compiled.run([x])
        assert equal([found], [expected])
        exact = np.exp(0.1 * x.astype(np.float64))
        exact /= exact.sum()
        assert np.abs((found.astype(int) + 128) / 256 - exact).max() <= 1 / 256


def test_softmax_at_the_end_of_what_the_judge_can_do() -> None:
    pytest.importorskip("tflite_micro")
    graph = softmax_graph(511, 0.02)
    inputs: list[list[Array]] = [[np.full((1, 511), v, np.int8)] for v in (-128, 0, 127)]
    for x, found in zip(inputs, judge(graph, inputs), strict=True):
        assert equal(found, numpy_outputs(graph, x)) and equal(Compiled(graph, parity.kernels()).run(x), found)
