"""A depthwise convolution of one channel is a convolution: same bytes, other op."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinsmith import ops
from tinsmith.check import verify
from tinsmith.interpret import interpret
from tinsmith.ops._conv import random_geometry
from tinsmith.ops._examples import example, quantized
from tinsmith.ops._weighted import random_weights
from tinsmith.passes.merge_depthwise import merge_depthwise


@pytest.mark.parametrize("seed", range(40))
def test_one_channel_becomes_a_convolution_with_the_same_results(seed: int) -> None:
    rng = np.random.default_rng(seed)
    op = ops.find("DEPTHWISE_CONV_2D")
    graph = None
    while graph is None:
        kernel = rng.integers(1, 5, 2)
        x = quantized(rng, "x", (1, *rng.integers(1, 9, 2), 1))
        weights = random_weights(rng, (1, *kernel, int(rng.integers(1, 9))))
        attrs = op.Attrs(**random_geometry(rng), depth_multiplier=weights.shape[3])
        graph = example(op, rng, x, weights, attrs, per_channel=bool(seed % 3), axis=3)
    merged = verify(merge_depthwise(graph))
    (node,) = merged.nodes
    assert node.op == "CONV_2D" and type(node.attrs) is ops.find("CONV_2D").Attrs
    value = rng.integers(-128, 128, graph["x"].shape).astype(np.int8)
    assert (interpret(graph, [value])["y"] == interpret(merged, [value])["y"]).all()


def test_more_channels_stay_depthwise() -> None:
    rng = np.random.default_rng(1)
    op = ops.find("DEPTHWISE_CONV_2D")
    x = quantized(rng, "x", (1, 5, 5, 2))
    graph = example(op, rng, x, random_weights(rng, (1, 3, 3, 2)), op.Attrs(), per_channel=True, axis=3)
    assert graph is not None
    assert merge_depthwise(graph).nodes[0].op == "DEPTHWISE_CONV_2D"
    assert replace(graph).nodes == merge_depthwise(graph).nodes
