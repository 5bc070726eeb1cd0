"""Channels that look removable and are not, those that look needed and are not, and what every op promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import parity
import pytest
from numpy.random import Generator
from parity import ALL_OPS, equal, numpy_outputs
from planted import Network

from tinsmith import ops
from tinsmith.check import verify
from tinsmith.graph import Array, Graph
from tinsmith.interpret import interpret
from tinsmith.ops import Call, Op
from tinsmith.ops._interval import Interval, channel_count
from tinsmith.ops._weighted import Weighted
from tinsmith.passes import lower
from tinsmith.passes._channels import Link, find_intervals
from tinsmith.passes.shrink import cut_node, cut_tensor, shrink

LOUD = 2**26  # a bias that saturates


def shrunk(graph: Graph) -> Graph:
    """The shrunk graph, whose bytes are those of the graph for extreme and random inputs."""
    after = verify(shrink(graph, 1))
    for x in parity.samples(graph, np.random.default_rng(1), 6):
        assert equal(numpy_outputs(after, x), numpy_outputs(graph, x))
    return after


def two_convs(bias: int, geometry: dict[str, Any], zero: int = 5, shape: tuple[int, ...] = (1, 5, 5, 2)) -> Graph:
    """A pointwise convolution whose channel 1 has no weights, and one that reads it through a 3 x 3 window."""
    rng = np.random.default_rng(7)
    net = Network(rng, plain=True)
    x = net.input(*shape)
    first = rng.integers(1, 100, (3, 1, 1, 2)).astype(np.int8)
    first[1] = 0
    a = net.weighted("CONV_2D", x, first, 0, np.array([0, bias, 0]), zero)
    side = geometry.get("side", 3)
    second = rng.integers(1, 100, (2, side, side, 3)).astype(np.int8)
    attrs = {k: v for k, v in geometry.items() if k != "side"}
    return net.graph(net.weighted("CONV_2D", a, second, 0, np.array([50, -50]), **attrs))


@pytest.mark.parametrize("zero", [-128, 5, 127])
@pytest.mark.parametrize(
    ("bias", "geometry", "kept"),
    [
        (LOUD, {"padding": "SAME"}, 3),  # 127 inside, the zero point outside
        (-LOUD, {"padding": "SAME"}, 3),
        (0, {"padding": "SAME"}, 2),  # the zero point everywhere
        (LOUD, {"padding": "VALID"}, 2),
        (LOUD, {"padding": "SAME", "side": 1}, 2),  # padding of nothing
        (LOUD, {"padding": "SAME", "side": 1, "stride_h": 5, "stride_w": 5}, 2),
        (LOUD, {"padding": "SAME", "dilation_h_factor": 4, "dilation_w_factor": 4}, 3),
    ],
)
def test_constants_are_folded_unless_padding_shows(bias: int, geometry: dict[str, Any], kept: int, zero: int) -> None:
    graph = two_convs(bias, geometry, zero)
    same_as_padding = zero == (127 if bias > 0 else -128)
    assert shrunk(graph)["t0"].shape[-1] == (2 if same_as_padding else kept)


def test_taps_that_never_meet_the_image_do_not_read() -> None:
    """On an image of one pixel only the middle of a 3 x 3 window counts, and it counts for every output."""
    assert shrunk(two_convs(LOUD, {"padding": "SAME"}, shape=(1, 1, 1, 2)))["t0"].shape[-1] == 2


def test_windows_that_tile_the_image_are_not_padded() -> None:
    graph = two_convs(LOUD, {"padding": "SAME", "side": 2, "stride_h": 2, "stride_w": 2}, shape=(1, 4, 6, 2))
    assert shrunk(graph)["t0"].shape[-1] == 2
    graph = two_convs(LOUD, {"padding": "SAME", "side": 2, "stride_h": 2, "stride_w": 2}, shape=(1, 4, 5, 2))
    assert shrunk(graph)["t0"].shape[-1] == 3


def test_outputs_of_the_model_stay_whole() -> None:
    """Unread and constant channels, if the model hands them out."""
    graph = two_convs(LOUD, {"padding": "VALID"})
    assert shrunk(replace(graph, outputs=("t0", "t1")))["t0"].shape[-1] == 3


def test_inputs_of_the_model_stay_whole() -> None:
    rng = np.random.default_rng(0)
    net = Network(rng, plain=True)
    x = net.input(1, 3, 3, 4)
    weights = np.zeros((2, 1, 1, 4), np.int8)
    weights[:, :, :, 0] = 50
    after = shrunk(net.graph(net.weighted("CONV_2D", x, weights, 0, np.zeros(2))))
    assert after["x0"].shape == (1, 3, 3, 4)


@pytest.mark.parametrize(("both", "kept"), [(False, 3), (True, 2)])
def test_residual_channels_go_only_together(both: bool, kept: int) -> None:
    """x + f(x): a channel that is constant in one operand is still added to the other."""
    rng = np.random.default_rng(2)
    net = Network(rng, plain=True)
    x = net.input(1, 3, 3, 2)
    weights = rng.integers(1, 100, (2, 3, 1, 1, 2)).astype(np.int8)
    weights[0, 1] = 0
    weights[1, 1] *= not both
    a, b = (net.weighted("CONV_2D", x, w, 0, np.array([0, 70, 0])) for w in weights)
    y = net.node("ADD", [a, b], replace(net[a], name="y"))
    out = net.weighted("CONV_2D", y, rng.integers(1, 100, (2, 1, 1, 3)).astype(np.int8), 0, np.zeros(2))
    after = shrunk(net.graph(out))
    assert [after[n].shape[-1] for n in (a, b, y)] == [kept] * 3


def test_channels_that_one_of_two_readers_needs_stay() -> None:
    rng = np.random.default_rng(3)
    net = Network(rng, plain=True)
    a = net.weighted("CONV_2D", net.input(1, 3, 3, 2), rng.integers(1, 100, (4, 1, 1, 2)).astype(np.int8), 0, None)
    outs = []
    for unread in ([1, 2], [1, 3]):
        weights = rng.integers(1, 100, (2, 1, 1, 4)).astype(np.int8)
        weights[..., unread] = 0
        outs.append(net.weighted("CONV_2D", a, weights, 0, np.zeros(2)))
    assert shrunk(net.graph(*outs))[a].shape[-1] == 3


def test_no_tensor_loses_all_of_its_channels() -> None:
    """Nothing of the first convolution is read, nor of the constant beside it."""
    rng = np.random.default_rng(9)
    net = Network(rng, plain=True)
    x = net.input(1, 2, 2, 3)
    a, b = (net.weighted("CONV_2D", x, rng.integers(1, 100, (3, 1, 1, 3)).astype(np.int8)) for _ in range(2))
    beside = net.constant(rng.integers(-128, 128, (1, 2, 2, 3)).astype(np.int8), net[a].quant)
    y = net.node("CONCATENATION", [a, beside, b], net[a], axis=3)
    weights = rng.integers(1, 100, (2, 1, 1, 9)).astype(np.int8)
    weights[..., :6] = 0
    after = shrunk(net.graph(net.weighted("CONV_2D", y, weights)))
    assert [after[n].shape[-1] for n in after.nodes[2].inputs if n is not None] == [1, 1, 3]


def test_depthwise_channels_keep_an_equal_number_each() -> None:
    """Two kernels a channel: of channels 0 and 2 both are read, of 1 none and of 3 one, which takes the other along."""
    rng = np.random.default_rng(4)
    net = Network(rng, plain=True)
    a = net.weighted("CONV_2D", net.input(1, 5, 5, 2), rng.integers(1, 100, (4, 1, 1, 2)).astype(np.int8), 0, None)
    kernels = rng.integers(1, 100, (1, 3, 3, 8)).astype(np.int8)
    b = net.weighted("DEPTHWISE_CONV_2D", a, kernels, 3, rng.integers(-99, 99, 8), depth_multiplier=2)
    weights = rng.integers(1, 100, (3, 1, 1, 8)).astype(np.int8)
    weights[..., [2, 3, 7]] = 0
    after = shrunk(net.graph(net.weighted("CONV_2D", b, weights, 0, np.zeros(3))))
    assert (after[a].shape[-1], after[b].shape[-1]) == (3, 6)
    weights[..., [1, 5]] = 0
    after = shrunk(net.graph(net.weighted("CONV_2D", b, weights, 0, np.zeros(3))))
    assert (after[a].shape[-1], after[b].shape[-1]) == (3, 3)
    assert after.nodes[1].attrs.depth_multiplier == 1


def test_sums_that_wrap_are_not_called_constant() -> None:
    """A bias at the end of int32: the sum wraps for some inputs, so neither end of it bounds the output."""
    rng = np.random.default_rng(5)
    net = Network(rng, plain=True)
    weights = np.full((2, 1, 1, 2), 100, np.int8)
    edge = np.array([2**31 - 5, -(2**31) + 5])
    y = net.weighted("CONV_2D", net.input(1, 2, 2, 2), weights, 0, edge, 0)
    graph = net.graph(y)
    assert not any(find_intervals(graph)[y].constant)  # type: ignore[union-attr]
    seen = {v for x in parity.samples(graph, rng, 4) for v in interpret(graph, x)[y].reshape(-1).tolist()}
    assert {-128, 127} <= seen


def test_folding_into_a_bias_wraps_as_the_sum_does() -> None:
    rng = np.random.default_rng(6)
    net = Network(rng, plain=True)
    first = np.array([[100], [0]], np.int8).reshape(2, 1, 1, 1)
    a = net.weighted("CONV_2D", net.input(1, 2, 2, 1), first, 0, np.array([0, LOUD]), -128)
    second = np.full((1, 1, 1, 2), 100, np.int8)
    y = net.weighted("CONV_2D", a, second, 0, np.array([2**31 - 9000]), 0)
    after = shrunk(net.graph(y))
    assert after[a].shape[-1] == 1
    assert after[after.nodes[1].inputs[2] or ""].data == 2**31 - 9000 + 100 * 255 - 2**32


@pytest.mark.parametrize("per_channel", [False, True])
def test_layers_without_a_bias_keep_their_multipliers(per_channel: bool) -> None:
    """TensorFlow Lite Micro multiplies their scales in single precision if there is one scale for all, and in
    double precision with one a channel: also where a single channel is left, or a bias is added."""
    op = ops.find("FULLY_CONNECTED")
    assert isinstance(op, Weighted)
    for seed in range(10):
        net = Network(np.random.default_rng(seed), plain=True)
        weights = net.rng.integers(1, 100, (3, 4)).astype(np.int8)
        weights[1:] = 0
        a = net.weighted("FULLY_CONNECTED", net.input(1, 4), weights, per_channel=per_channel)
        b = net.weighted("FULLY_CONNECTED", a, np.full((2, 3), 77, np.int8), per_channel=per_channel)
        graph = net.graph(b)
        for after in (shrunk(graph), lower(graph)):
            assert after[a].shape == (1, 1)
            for before, node in zip(graph.nodes, after.nodes, strict=True):
                found = op.multipliers(Call.of(after, node))
                assert found == op.multipliers(Call.of(graph, before))[: len(found)]


# -- what every op promises ------------------------------------------------------------------------


def bounded(rng: Generator, interval: Interval) -> Interval:
    """A random part of what the channels can be, at times one value."""
    ends = np.sort(rng.integers(interval.low, interval.high + 1, (2, len(interval.low))), axis=0)
    ends[1] = np.where(rng.random(len(interval.low)) < 0.3, ends[0], ends[1])
    return Interval(ends[0], ends[1])


def within(rng: Generator, interval: Interval, shape: tuple[int, ...], kind: str) -> Array:
    """Values of a tensor within its bounds."""
    if kind == "low" or kind == "high":
        return np.broadcast_to(getattr(interval, kind), shape)
    if kind == "ends":
        return np.where(rng.random(shape) < 0.5, interval.low, interval.high)
    return rng.integers(interval.low, interval.high + 1, shape)


@pytest.mark.parametrize("op", ALL_OPS, ids=[op.name for op in ALL_OPS])
def test_bounds_hold_for_every_input_within_bounds(op: Op) -> None:
    rng = parity.generator(op, 11)
    for graph in parity.examples(op, rng, 150):
        (node,) = graph.nodes
        known, call = find_intervals(graph), Call.of(graph, node)
        for name in graph.inputs:
            whole = known[name]
            known[name] = None if whole is None else bounded(rng, whole)
        given = [None if n is None else known[n] for n in node.inputs]
        bounds = op.interval(call, given)
        if bounds is None or any(known[n] is None for n in graph.inputs):
            continue
        for kind in ("low", "high", "ends", "between", "between"):
            values = [(within(rng, known[n], graph[n].shape, kind)).astype(graph[n].dtype) for n in graph.inputs]  # type: ignore[arg-type]
            found = interpret(graph, values)[node.outputs[0]]
            rows = found.astype(np.int64).reshape(-1, channel_count(found.shape))
            assert (rows >= bounds.low).all() and (rows <= bounds.high).all(), f"{node} {kind}"


def test_bounds_are_attained() -> None:
    """Where nothing is padded, bounds on sums are the least and greatest that there are: looser ones save less."""
    rng = np.random.default_rng(8)
    net = Network(rng, plain=True)
    x = net.input(1, 3, 3, 2)
    weights = rng.integers(-3, 4, (5, 3, 3, 2)).astype(np.int8)
    y = net.weighted("CONV_2D", x, weights, 0, None, 0, padding="VALID")
    graph = net.graph(y)
    bounds = find_intervals(graph)[y]
    assert bounds is not None and not bounds.constant.any()
    for c, w in enumerate(weights):
        for values, bound in (((-128, 127), bounds.high), ((127, -128), bounds.low)):
            best = np.where(w > 0, values[1], values[0]).astype(np.int8)[None]
            assert interpret(graph, [best])[y][0, 0, 0, c] == bound[c]


PROMISING = [op for op in ALL_OPS if type(op).channel_sources is not Op.channel_sources]


@pytest.mark.parametrize("op", PROMISING, ids=[op.name for op in PROMISING])
def test_ops_that_name_sources_can_lose_channels(op: Op) -> None:
    """The rest of the output stays as it is, and depends on the rest of the inputs alone."""
    rng, lost = parity.generator(op, 12), 0
    for graph in parity.examples(op, rng, 200):
        (node,) = graph.nodes
        intervals = find_intervals(graph)
        link = Link.of(graph, node, intervals)
        counts = {end: 0 for end in link.inputs} | {link.output: channel_count(graph[node.outputs[0]].shape)}
        for end, index in zip(link.inputs, op.runtime_inputs(Call.of(graph, node)), strict=True):
            counts[end] = channel_count(graph[node.inputs[index] or ""].shape)
        masks = {end: rng.random(count) < 0.3 for end, count in counts.items()}
        for mask in masks.values():
            mask[rng.integers(0, len(mask))] = True
        while link.settle(masks):
            pass
        tensors = dict(graph.tensors)
        for name, constant in masks:
            if constant < 0 and not masks[name, -1].all():
                tensors[name] = cut_tensor(graph[name], masks[name, -1])
        cut = cut_node(graph, node, intervals, masks, tensors)
        after = verify(replace(graph, tensors=tensors, nodes=(cut,)).pruned())
        x = next(iter(parity.samples(graph, rng, 0)))
        x = [rng.integers(-128, 128, v.shape).astype(v.dtype) for v in x]
        fewer = [v[..., masks[n, -1]] if v.shape else v for n, v in zip(graph.inputs, x, strict=True)]
        whole, part = numpy_outputs(graph, x)[0], numpy_outputs(after, fewer)[0]
        kept = masks[node.outputs[0], -1]
        assert np.array_equal(whole[..., kept] if whole.shape else whole, part), node
        lost += int((~kept).sum())
    assert lost > 50
