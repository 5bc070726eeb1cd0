"""Kernels for integer vectors equal numpy: any shape, rows in pieces, outputs over their inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import many
import needs
import numpy as np
import pytest
from numpy.random import Generator

from tinsmith import ops, targets
from tinsmith.emit import linked
from tinsmith.graph import Array, Graph
from tinsmith.interpret import interpret
from tinsmith.ops import Call, select
from tinsmith.ops._examples import example, quantized
from tinsmith.pipeline import Compiled
from tinsmith.runners import runner
from tinsmith.samples import made_up

TARGET = "cortex-m55"
ARCHS = targets.load(TARGET).kernels
OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
ACTIVATIONS = ("NONE", "RELU", "RELU6")
# Image, output channels, kernel, stride, dilation: layers of well-known models, then odd ones.
SHAPES = [((49, 10, 1), 64, (10, 4), 2, 1), ((5, 5, 64), 64, (1, 1), 1, 1), ((12, 12, 3), 16, (3, 3), 2, 1),
          ((8, 8, 16), 16, (3, 3), 1, 1), ((6, 6, 20), 12, (1, 1), 2, 1), ((3, 3, 108), 59, (1, 1), 1, 1),
          ((1, 1, 256), 2, (1, 1), 1, 1), ((7, 9, 5), 7, (3, 3), 1, 2), ((2, 2, 3), 5, (5, 7), 1, 1),
          ((1, 9, 17), 3, (1, 3), 2, 1), ((9, 1, 33), 9, (3, 1), 1, 1), ((4, 4, 8), 31, (2, 2), 3, 3),
          *(((1, pixels, 15 + pixels), 1 + pixels, (1, 1), 1, 1) for pixels in range(1, 8))]  # fmt: skip

pytestmark = pytest.mark.usefixtures("cross_tools")


@pytest.fixture(scope="session")
def cross_tools() -> None:
    needs.programs("arm-none-eabi-gcc", "qemu-system-arm")


def weights(rng: Generator, shape: tuple[int, ...], least: int) -> Array:
    """Weights as models have them, or all extreme."""
    if rng.random() < 0.3:
        return rng.choice(np.array([least, -127, 127], np.int8), shape)
    return np.clip(np.rint(rng.normal(0, 50, shape)), least, 127).astype(np.int8)


def convolution(
    name: str, rng: Generator, image: tuple[int, int, int], out_c: int, kernel: tuple[int, int],
    stride: int, dilation: int,
) -> Graph:  # fmt: skip
    """One layer; of a depthwise one, `out_c` is the multiplier."""
    op = ops.find(name)
    depthwise = name == "DEPTHWISE_CONV_2D"
    attrs = {"stride_w": stride, "stride_h": stride, "dilation_w_factor": dilation, "dilation_h_factor": dilation}
    if depthwise:
        attrs["depth_multiplier"] = out_c
    shape = (1, *kernel, image[2] * out_c) if depthwise else (out_c, *kernel, image[2])
    for _ in range(100):
        made = op.Attrs(**attrs, fused_activation_function=str(rng.choice(ACTIVATIONS)))
        data = weights(rng, shape, -127 if depthwise else -128)
        per_channel = bool(rng.random() < 0.8)
        graph = example(op, rng, quantized(rng, "x", (1, *image)), data, made, per_channel, 3 if depthwise else 0)
        if graph is not None:
            return graph
    raise AssertionError("no valid example")


def convolutions(rng: Generator) -> Iterator[Graph]:
    for shape in SHAPES:
        yield convolution("CONV_2D", rng, *shape)


def depthwises(rng: Generator) -> Iterator[Graph]:
    for image in ((25, 5, 64), (9, 30, 8), (6, 6, 20), (5, 4, 17), (1, 1, 40), (2, 3, 3), (7, 50, 16)):
        for stride in (1, 2):
            yield convolution("DEPTHWISE_CONV_2D", rng, image, 1, (3, 3), stride, 1)
    odd = (((5, 5), 1, 1), ((1, 9), 1, 1), ((3, 3), 1, 2), ((3, 3), 3, 1), ((2, 4), 2, 1))
    for kernel, multiplier, dilation in odd:
        yield convolution("DEPTHWISE_CONV_2D", rng, (11, 12, 18), multiplier, kernel, 1, dilation)


def all_layers(seed: int) -> Graph:
    """Everything in one graph, with the ops' own examples."""
    rng = np.random.default_rng(seed)
    random = [g for name in OPS for g in islice(ops.find(name).examples(rng), 25)]
    return many.merged([*convolutions(rng), *depthwises(rng), *random])


def wrong_outputs(model: Compiled, samples: int = 2) -> list[str]:
    cases = [sample for _, sample in made_up(model.source, samples, 5)]
    found = []
    with runner(model) as device:
        for case, got in zip(cases, device.run(cases), strict=True):
            values = interpret(model.source, case)
            found += [n for n, a in zip(model.source.outputs, got, strict=True) if (a != values[n]).any()]
    return found


@pytest.mark.parametrize("make", [convolutions, depthwises])
def test_shapes_of_models_and_odd_ones_run_on_vectors(make: object) -> None:
    assert callable(make)
    graphs = list(make(np.random.default_rng(1)))
    used = many.kernels_used(many.compiled(many.merged(graphs), TARGET))
    assert all(kernel.endswith("_mve") for kernel in used), used
    assert not many.differences(graphs, TARGET)


@pytest.mark.parametrize("name", OPS)
def test_random_examples(name: str) -> None:
    graphs = list(islice(ops.find(name).examples(np.random.default_rng(2)), 60))
    used = many.kernels_used(many.compiled(many.merged(graphs), TARGET))
    assert sum(kernel.endswith("_mve") for kernel in used) > 30, used
    assert not many.differences(graphs, TARGET)


def test_pairs_of_the_least_weights_are_left_to_other_kernels() -> None:
    rng = np.random.default_rng(3)
    op = ops.find("DEPTHWISE_CONV_2D")
    for least, suits in ((-127, True), (-128, False)):
        data = np.full((1, 3, 3, 16), least, np.int8)
        graph = example(op, rng, quantized(rng, "x", (1, 5, 5, 16)), data, op.Attrs(), per_channel=False, axis=3)
        assert graph is not None
        kernel = select(Call.of(graph, graph.nodes[0]), ("mve",)).kernel
        assert kernel.endswith("_mve") is suits


def test_rows_may_come_in_pieces() -> None:
    model = many.compiled(all_layers(4), TARGET)
    pieces = (
        r"for (int32_t row = 0, step = 1; row < \3; row += step, step = step % 3 + 1)"
        r" \1(&\2, arena, row, row + step < \3 ? row + step : \3);"
    )
    text, count = re.subn(r"(tin_\w+)\(&(node\d+), arena, 0, (\d+)\);", pieces, model.files["many.c"])
    assert count == len(model.nodes)
    assert wrong_outputs(replace(model, files={**model.files, "many.c": text})) == []


def test_outputs_may_lie_over_inputs_as_far_as_declared() -> None:
    model = many.compiled(all_layers(5), TARGET)
    graph, buffers, end, moved = model.plan.graph, dict(model.plan.by_name), 0, 0
    for node in graph.nodes:
        call = Call.of(graph, node)
        apart = select(call, ARCHS).separation(call, 0)
        x, y, scratch = call.x.name, call.y.name, f"scratch of {call.y.name}"
        places = {y: end, x: end + (call.y.nbytes if apart is None else max(apart, 0)) + 3 & ~3}
        places[scratch] = max(end + call.y.nbytes, places[x] + call.x.nbytes) + 3 & ~3
        moved += places[x] < end + call.y.nbytes
        for name, place in places.items():
            if name in buffers:
                buffers[name] = replace(buffers[name], offset=place)
        end = places[scratch] + (buffers[scratch].nbytes if scratch in buffers else 0) + 3 & ~3
    assert moved > 40
    plan = replace(model.plan, buffers=tuple(buffers.values()))
    files = linked(plan, model.name, model.mode.specialised)
    assert wrong_outputs(replace(model, plan=plan, files=files)) == []
