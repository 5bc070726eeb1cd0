"""Fully connected layers read images directly where a reshape in between says nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import parity
import pytest
from random_graphs import QUANT

from tinsmith import ops
from tinsmith.check import verify
from tinsmith.graph import Graph, Node, Quant, Tensor
from tinsmith.load.tflite import load_file, load_tflite
from tinsmith.passes import lower
from tinsmith.passes.look_through_reshape import look_through_reshape
from tinsmith.save.tflite import save_tflite

INT8 = np.dtype(np.int8)
ATTRS = ops.find("FULLY_CONNECTED").Attrs


def quant_of(scale: float, zero: int) -> Quant:
    return Quant((float(np.float32(scale)),), (zero,))


def dense_after(*shapes: tuple[int, ...], quant: Quant = QUANT, keep: bool = False, out: tuple[int, ...] = ()) -> Graph:
    """Reshapes from one shape to the next, the last of which a layer reads; `quant` is of what it reads."""
    tensors = [Tensor(f"x{i}", shape, INT8, QUANT) for i, shape in enumerate(shapes)]
    tensors[-1] = replace(tensors[-1], quant=quant)
    rows, depth = shapes[-1]
    weights = np.random.default_rng(0).integers(-127, 128, (3, depth), np.int8)
    w = Tensor("w", weights.shape, INT8, quant_of(0.01, 0), weights)
    y = Tensor("y", out or (rows, 3), INT8, quant_of(0.2, 5))
    reshape = ops.find("RESHAPE").Attrs
    nodes = [Node("RESHAPE", f"r{i}", (f"x{i}",), (f"x{i + 1}",), reshape(s), 1) for i, s in enumerate(shapes[1:])]
    nodes.append(Node("FULLY_CONNECTED", "dense", (tensors[-1].name, "w"), ("y",), ATTRS(keep_num_dims=keep), 5))
    return verify(Graph("g", {t.name: t for t in (*tensors, w, y)}, tuple(nodes), ("x0",), ("y",)))


def names(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def changed(graph: Graph) -> Graph:
    """The graph after the pass, whose output must stay what it is in shape and value."""
    after = verify(look_through_reshape(graph))
    for x in parity.samples(graph, np.random.default_rng(1), 3):
        assert parity.equal(parity.numpy_outputs(after, x), parity.numpy_outputs(graph, x))
    return after


@pytest.mark.parametrize("shapes", [
    [(1, 4, 3, 2), (1, 24)], [(1, 4, 3, 2), (4, 6)], [(1, 4, 3, 2), (24,), (1, 4, 6), (1, 24)], [(2, 3, 4, 2), (2, 24)],
])  # fmt: skip
def test_layers_read_what_was_reshaped(shapes: list[tuple[int, ...]]) -> None:
    after = changed(dense_after(*shapes))
    assert names(after) == ["FULLY_CONNECTED"] and after.nodes[0].inputs[0] == "x0"
    assert set(after.tensors) == {"x0", "w", "y"}


def test_the_layer_s_output_keeps_more_dimensions_than_two() -> None:
    after = changed(dense_after((1, 4, 3, 2), (4, 6), out=(1, 4, 3)))
    assert names(after) == ["FULLY_CONNECTED"] and after["y"].shape == (1, 4, 3)


def test_a_reshape_that_others_read_stays_for_them() -> None:
    graph = dense_after((1, 4, 3, 2), (1, 24))
    after = changed(replace(graph, outputs=("y", "x1")))
    assert names(after) == ["RESHAPE", "FULLY_CONNECTED"] and after.nodes[1].inputs[0] == "x0"


@pytest.mark.parametrize("quant", [Quant((0.5,), QUANT.zero_point), Quant(QUANT.scale, (QUANT.zero_point[0] + 1,))])
def test_layers_keep_the_quantization_that_they_were_given(quant: Quant) -> None:
    assert names(changed(dense_after((1, 4, 3, 2), (1, 24), quant=quant))) == ["RESHAPE", "FULLY_CONNECTED"]


def test_layers_that_keep_dimensions_are_left_alone() -> None:
    assert names(changed(dense_after((1, 4, 3, 2), (4, 6), keep=True))) == ["RESHAPE", "FULLY_CONNECTED"]


def test_other_readers_of_reshapes_are_left_alone() -> None:
    graph = dense_after((1, 4, 3, 2), (1, 24))
    soft = Node("SOFTMAX", "soft", ("x1",), ("y",), ops.find("SOFTMAX").Attrs(beta=1.0), 1)
    y = Tensor("y", (1, 24), INT8, Quant((1 / 256,), (-128,)))
    graph = verify(replace(graph, nodes=(graph.nodes[0], soft), tensors={**graph.tensors, "y": y}))
    assert names(changed(graph)) == ["RESHAPE", "SOFTMAX"]


def test_a_layer_that_reads_an_image_can_be_saved_and_is_the_judge_s() -> None:
    pytest.importorskip("tflite_micro")
    graph = changed(dense_after((1, 4, 3, 2), (1, 24)))
    assert names(load_tflite(save_tflite(graph), "g")) == ["FULLY_CONNECTED"]
    inputs = list(parity.samples(graph, np.random.default_rng(2), 3))
    for x, expected in zip(inputs, parity.judge(graph, inputs), strict=True):
        assert parity.equal(parity.numpy_outputs(graph, x), expected)


def test_micro_speech_reads_its_image_and_can_stream_it(zoo: Path) -> None:
    graph = lower(load_file(next(zoo.rglob("micro_speech_quantized.tflite"))))
    assert "RESHAPE" not in names(graph)[1:]
    (dense,) = (n for n in graph.nodes if n.op == "FULLY_CONNECTED")
    call = ops.Call.of(graph, dense)
    assert call.x.shape == (1, 25, 20, 8)
    assert ops.row_form(call, ops.select(call, ("dsp",))).kernel == "tin_fully_connected_rows"
