"""Passes change what they should, leave look-alikes alone, and never change a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import needs
import numpy as np
import parity
import pytest
from random_graphs import QUANT, Builder, random_graph

from tinsmith.check import BrokenGraph, verify
from tinsmith.errors import Unsupported
from tinsmith.graph import Array, Graph, Node, Quant, Tensor
from tinsmith.load.tflite import load_file
from tinsmith.passes import PASSES, lower, stages
from tinsmith.passes.fold_constants import fold_constants
from tinsmith.passes.fold_input_offset import fold_input_offset
from tinsmith.passes.fold_quantize_pairs import fold_quantize_pairs
from tinsmith.passes.fuse_activation import fuse_activation
from tinsmith.passes.fuse_padding import fuse_padding
from tinsmith.passes.tabulate import tabulate
from tinsmith.plan import plan

OTHER = Quant((float(np.float32(0.07)),), (3,))
ZOO = ["kws_int8", "resnet8_int8", "vww96_int8", "ad01_int8", "person_detect", "hello_world_int8"]


def builder() -> Builder:
    return Builder(np.random.default_rng(0))


def names(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def require_same_results(before: Graph, after: Graph, samples: int = 3) -> None:
    rng = np.random.default_rng(1)
    for x in parity.samples(before, rng, samples):
        assert parity.equal(parity.numpy_outputs(after, x), parity.numpy_outputs(before, x))


def passed(step: Callable[[Graph], Graph], graph: Graph, expected: Sequence[str]) -> Graph:
    """The graph after a pass that must leave these ops and all results."""
    after = verify(step(verify(graph)))
    assert names(after) == list(expected)
    require_same_results(graph, after)
    return after


def unchanged(step: Callable[[Graph], Graph], graph: Graph) -> None:
    passed(step, graph, names(graph))


def test_no_pass_changes_a_result() -> None:
    rng, changed = np.random.default_rng(3), set()
    for _ in range(40):
        graph = random_graph(rng, int(rng.integers(1, 12)))
        before = graph
        for name, after in stages(graph):
            require_same_results(graph, after, 1)
            changed |= {name} if (after.nodes, set(after.tensors)) != (before.nodes, set(before.tensors)) else set()
            before = after
    assert {"fuse_padding", "fuse_activation", "tabulate", "fold_input_offset"} <= changed


def test_passes_find_nothing_to_do_the_second_time() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        lowered = lower(random_graph(rng, 8))
        for step in PASSES:
            assert names(step(lowered)) == names(lowered), step.__name__


@pytest.mark.parametrize("name", ZOO)
def test_lowered_public_models_equal_the_judge(name: str, zoo: Path) -> None:
    pytest.importorskip("tflite_micro")
    path = next(zoo.rglob(f"{name}.tflite"), None)
    if path is None:
        needs.lacking(f"{name}.tflite is not in {zoo}")
    graph = load_file(path)
    rng = np.random.default_rng(5)
    inputs = [[parity.sample(graph, graph[n], kind, rng) for n in graph.inputs] for kind in ("random", "alternating")]
    lowered = lower(graph)
    for x, expected in zip(inputs, parity.judge(path.read_bytes(), inputs), strict=True):
        assert parity.equal(parity.numpy_outputs(lowered, x), expected)


# -- fold_constants ------------------------------------------------------------------------------------


def test_shape_arithmetic_folds_away() -> None:
    b = builder()
    x = b.input(1, 4, 3, 2)
    graph = shape_model(b, x)
    after = verify(fold_constants(graph))
    assert names(after) == ["RESHAPE"] and after.nodes[0].inputs == ("x0",)
    require_same_results(graph, after)


def shape_model(b: Builder, x: str) -> Graph:
    """Flattens a tensor as exporters do, to a shape put together from the batch size and a constant.

    Until it is folded it breaks the rule that ops on shapes have constant inputs, so the builder does not check it.
    """
    ints = np.dtype(np.int32)

    def add(op: str, inputs: list[str], shape: tuple[int, ...], **attrs: object) -> str:
        name = f"t{len(b.tensors)}"
        b.tensors[name] = Tensor(name, shape, ints)
        b.nodes.append(Node(op, op, tuple(inputs), (name,), b.attrs(op, **attrs)))
        return name

    bounds = [b.constant(np.array([v], np.int32)) for v in (0, 1, 1)]
    batch = add("STRIDED_SLICE", [add("SHAPE", [x], (4,)), *bounds], (), shrink_axis_mask=1)
    packed = add("PACK", [batch, b.constant(np.array(24, np.int32))], (2,), values_count=2)
    return b.graph(b.add("RESHAPE", b.attrs("RESHAPE"), [x, packed], shape=(1, 24)))


def test_results_of_constants_are_computed_now() -> None:
    b = builder()
    c = b.constant(np.arange(-6, 6, dtype=np.int8).reshape(1, 2, 2, 3), QUANT)
    x = b.input(1, 2, 2, 3)
    after = passed(fold_constants, b.graph(b.simple("ADD", b.simple("RELU", c), x)), ["ADD"])
    assert after[after.nodes[0].inputs[0] or ""].data is not None


def test_large_results_stay_computed_but_views_of_constants_cost_nothing() -> None:
    b = builder()
    c = b.constant(np.ones((1, 20, 20, 11), np.int8), QUANT)
    x = b.input(1, 20, 20, 11)
    unchanged(fold_constants, b.graph(b.simple("ADD", b.simple("RELU", c), x)))
    b = builder()
    c = b.constant(np.ones((1, 11, 20, 20), np.int8), QUANT)
    x = b.input(1, 20, 20, 11)
    after = passed(fold_constants, b.graph(b.simple("ADD", b.reshape(c, 1, 20, 20, 11), x)), ["ADD"])
    assert plan(lower(after)).arena_bytes == 4400


# -- fold_quantize_pairs -------------------------------------------------------------------------------


def quantize(b: Builder, x: str, quant: Quant) -> str:
    return b.add("QUANTIZE", b.attrs("QUANTIZE"), [x], dtype=np.dtype(np.int8), quant=quant)


def dequantize(b: Builder, x: str) -> str:
    return b.add("DEQUANTIZE", b.attrs("DEQUANTIZE"), [x], dtype=np.dtype(np.float32), quant=None)


def test_a_conversion_to_float_and_back_becomes_a_table() -> None:
    b = builder()
    after = passed(fold_quantize_pairs, b.graph(quantize(b, dequantize(b, b.input(1, 5)), OTHER)), ["LOOKUP"])
    assert after[after.outputs[0]].quant == OTHER


def test_conversions_that_change_nothing_disappear() -> None:
    b = builder()
    y = quantize(b, dequantize(b, b.input(1, 5)), QUANT)
    passed(fold_quantize_pairs, b.graph(b.reshape(quantize(b, y, QUANT), 5)), ["RESHAPE"])


def test_a_conversion_that_makes_an_output_keeps_the_output() -> None:
    b = builder()
    unchanged(fold_quantize_pairs, b.graph(quantize(b, b.input(1, 5), QUANT)))


def test_floats_that_others_read_stay() -> None:
    b = builder()
    real = dequantize(b, b.input(1, 5))
    unchanged(fold_quantize_pairs, b.graph(quantize(b, real, OTHER), real))
    b = builder()
    real = dequantize(b, b.input(1, 5))
    unchanged(fold_quantize_pairs, b.graph(quantize(b, real, OTHER), quantize(b, real, QUANT)))


def test_a_conversion_to_another_scale_stays() -> None:
    b = builder()
    unchanged(fold_quantize_pairs, b.graph(b.reshape(quantize(b, b.input(1, 5), OTHER), 5)))


# -- fuse_padding --------------------------------------------------------------------------------------

AROUND = [(0, 0), (1, 2), (3, 0), (0, 0)]


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_padding_becomes_the_convolutions_own(kind: str) -> None:
    b = builder()
    padded = b.pad(b.input(1, 5, 4, 3), AROUND)
    y = b.conv(padded, 2, 3, padding="VALID") if kind == "conv" else b.depthwise(padded, 3, padding="VALID")
    after = passed(fuse_padding, b.graph(y), [b.nodes[-1].op])
    assert after.nodes[0].attrs.pads == ((1, 2), (3, 0))


def test_padding_for_anything_else_stays() -> None:
    cases: list[Graph] = []
    for channels, geometry in (((0, 0), "SAME"), ((0, 1), "VALID")):
        b = builder()
        padded = b.pad(b.input(1, 5, 4, 3), [*AROUND[:3], channels])
        cases.append(b.graph(b.conv(padded, 2, 3, padding=geometry)))
    b = builder()
    padded = b.pad(b.input(1, 5, 4, 3), AROUND)
    cases.append(b.graph(b.conv(padded, 2, 3, padding="VALID"), padded))
    b = builder()
    padded = b.pad(b.input(1, 5, 4, 3), AROUND)
    cases.append(b.graph(b.conv(padded, 2, 3, padding="VALID"), b.simple("RELU", padded)))
    b = builder()
    padded = b.pad(b.input(1, 5, 4, 3), AROUND, quant=OTHER)
    cases.append(b.graph(b.conv(padded, 2, 3, padding="VALID")))
    b = builder()
    padded = b.pad(b.input(1, 5, 4, 3), AROUND)
    cases.append(b.graph(b.simple("MAX_POOL_2D", padded, padding="VALID", filter_width=2, filter_height=2)))
    for graph in cases:
        unchanged(fuse_padding, graph)


def test_a_border_of_another_value_is_refused_before_it_could_be_fused() -> None:
    b = builder()
    with pytest.raises(AssertionError, match="same zero point"):
        b.pad(b.input(1, 5, 4, 3), AROUND, quant=Quant(QUANT.scale, (4,)))


# -- fuse_activation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("op, limits", [("RELU", (3, 127)), ("RELU6", (3, 123))])
def test_an_activation_becomes_the_limits_of_the_op_before(op: str, limits: tuple[int, int]) -> None:
    b = builder()
    x = b.input(1, 5, 4, 3)
    for y in (b.conv(x, 3, 3), b.simple("ADD", x, x), b.simple("MAX_POOL_2D", x), b.fully_connected(x, 60)):
        graph = b.graph(b.simple(op, y)).pruned()
        after = passed(fuse_activation, graph, [graph.nodes[0].op])
        assert after.nodes[0].attrs.clamp == limits and after.outputs == graph.outputs


def test_two_activations_in_a_row_keep_the_narrower_limits() -> None:
    b = builder()
    y = b.simple("RELU6", b.simple("RELU", b.conv(b.input(1, 5, 4, 3), 3, 3)))
    after = passed(fuse_activation, b.graph(y), ["CONV_2D"])
    assert after.nodes[0].attrs.clamp == (3, 123)


def test_activations_elsewhere_stay() -> None:
    cases: list[Graph] = []
    b = builder()
    y = b.conv(b.input(1, 5, 4, 3), 3, 3)
    cases.append(b.graph(b.simple("RELU", y), y))
    b = builder()
    y = b.conv(b.input(1, 5, 4, 3), 3, 3)
    cases.append(b.graph(b.simple("RELU", y), b.simple("RELU6", y)))
    b = builder()
    y = b.conv(b.input(1, 5, 4, 3), 3, 3)
    # RELU6 copies bytes whatever the scales say, so this one clamps, but into another scale.
    cases += [b.graph(b.add(op, None, [y], quant=OTHER)).pruned() for op in ("RELU", "RELU6")]
    b = builder()
    x = b.input(1, 5, 4, 3)
    cases.append(b.graph(b.simple("RELU", b.simple("CONCATENATION", x, x, axis=3))))
    cases.append(b.graph(b.simple("RELU", b.reshape(x, 60))).pruned())
    b = builder()
    cases.append(b.graph(b.simple("RELU", b.input(1, 5))))
    for graph in cases:
        unchanged(fuse_activation, graph)


# -- tabulate, fold_input_offset -----------------------------------------------------------------------


def test_functions_of_bytes_become_tables() -> None:
    b = builder()
    y = b.simple("RELU6", quantize(b, b.simple("RELU", b.input(1, 5)), OTHER))
    y = b.add("LOGISTIC", None, [y], quant=Quant((1 / 256,), (-128,)))
    after = passed(tabulate, b.graph(y), ["LOOKUP"] * 4)
    assert all(after[node.inputs[1] or ""].size == 256 for node in after.nodes)


def test_quantizing_floats_stays() -> None:
    b = builder()
    x = b.input(1, 5)
    b.tensors[x] = Tensor(x, (1, 5), np.dtype(np.float32))
    unchanged(tabulate, b.graph(quantize(b, x, QUANT)))


def test_input_offsets_move_into_biases_once() -> None:
    b = builder()
    x = b.conv(b.input(1, 5, 4, 3), 2, 3)
    graph = b.graph(b.fully_connected(b.depthwise(x, 3), 4))
    after = passed(fold_input_offset, graph, names(graph))
    assert all(node.attrs.offset_folded and len(node.inputs) == 3 for node in after.nodes)
    weights, bias = graph[graph.nodes[0].inputs[1] or ""].data, after[after.nodes[0].inputs[2] or ""].data
    assert weights is not None and bias is not None
    np.testing.assert_array_equal(bias, -3 * weights.astype(int).sum(axis=(1, 2, 3)))
    assert fold_input_offset(after).nodes == after.nodes


# -- verify --------------------------------------------------------------------------------------------


def small() -> Graph:
    b = builder()
    x = b.input(1, 5, 4, 3)
    y = b.simple("RELU", x)
    return b.graph(b.simple("ADD", y, b.constant(np.ones(3, np.int8), QUANT)))


def with_tensor(graph: Graph, filed: str, **changes: object) -> Graph:
    changed = replace(graph[filed], **changes)  # type: ignore[arg-type]
    return replace(graph, tensors={**graph.tensors, filed: changed})


def with_node(graph: Graph, index: int, **changes: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = replace(nodes[index], **changes)  # type: ignore[arg-type]
    return replace(graph, nodes=tuple(nodes))


def test_a_right_graph_is_returned_as_it_is() -> None:
    graph = small()
    assert verify(graph) is graph


DATA: Array = np.ones(4, np.int8)
BROKEN: list[tuple[str, Callable[[Graph], Graph]]] = [
    ("is filed as", lambda g: with_tensor(g, "t1", name="other")),
    ("not as declared", lambda g: with_tensor(g, "c2", data=DATA)),
    ("not as declared", lambda g: with_tensor(g, "c2", data=DATA[:3].astype(np.int16))),
    ("before it is written", lambda g: replace(g, nodes=g.nodes[::-1])),
    ("before it is written", lambda g: with_node(g, 0, inputs=("ghost",))),
    ("before it is written", lambda g: replace(g, inputs=())),
    ("written already", lambda g: with_node(g, 1, outputs=("t1",))),
    ("written already", lambda g: with_node(g, 0, outputs=("x0",))),
    ("written already", lambda g: with_node(g, 0, outputs=("c2",))),
    ("unknown", lambda g: with_node(g, 1, outputs=("ghost",))),
    ("must be int8", lambda g: with_tensor(g, "t1", dtype=np.dtype(np.int16))),
    ("number of inputs", lambda g: with_node(g, 1, inputs=("t1",))),
    ("wrong output shape", lambda g: with_tensor(g, "t3", shape=(1, 5, 4, 4))),
    ("nothing writes", lambda g: replace(g, outputs=("t3", "ghost"))),
    ("nothing writes", lambda g: replace(g, nodes=g.nodes[:1])),
]


@pytest.mark.parametrize("message, damage", BROKEN)
def test_verify_catches(message: str, damage: Callable[[Graph], Graph]) -> None:
    with pytest.raises(BrokenGraph, match=message):
        verify(damage(small()))


def test_everything_unsupported_is_said_at_once() -> None:
    b = builder()
    x = b.input(1, 5)
    graph = b.graph(b.simple("RELU", b.simple("RELU", x)))
    nodes = [replace(n, op=op, name=op.lower()) for n, op in zip(graph.nodes, ("SVDF", "CUSTOM:Detect"), strict=True)]
    with pytest.raises(Unsupported, match=r"(?s)2 things.*'svdf' \(SVDF.*'custom:detect'.*cut the model"):
        lower(replace(graph, nodes=tuple(nodes)))
