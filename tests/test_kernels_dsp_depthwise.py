"""The depthwise kernel for the DSP extension equals numpy: on any shape, in any rows, from rings and in place."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

import many
import needs
import numpy as np
import pytest
from numpy.random import Generator

from tinsmith import fixed
from tinsmith.arch.dsp._depthwise import AWAY, FAST, POINT, SLOW, WIDE, lanes, lines, scales
from tinsmith.arch.dsp._requant import Scaling
from tinsmith.arch.dsp.depthwise_conv_2d import DepthwiseConv2DDsp
from tinsmith.arch.dsp.depthwise_rows import DepthwiseConv2DDspLean, DepthwiseConv2DDspRows
from tinsmith.emit import linked
from tinsmith.graph import Array, Graph, Quant, Tensor
from tinsmith.interpret import interpret
from tinsmith.ops import Call, find
from tinsmith.ops._examples import single
from tinsmith.ops._window import Axis, Window
from tinsmith.ops.depthwise_conv_2d import DepthwiseConv2D
from tinsmith.pipeline import Compiled
from tinsmith.plan import Plan
from tinsmith.runners import runner
from tinsmith.samples import made_up

TARGET = "cortex-m4"
KERNEL = "tin_depthwise_conv_2d_dsp"
OP, DSP = find("DEPTHWISE_CONV_2D"), DepthwiseConv2DDsp()
ROWS, LEAN = DepthwiseConv2DDspRows(), DepthwiseConv2DDspLean()
Pads = tuple[tuple[int, int], tuple[int, int]]

# (height, width, channels, stride) of layers in well-known models, and what is awkward beside them.
REAL = [(25, 5, 64, 1), (48, 48, 8, 1), (48, 48, 16, 2), (24, 24, 32, 1), (12, 12, 60, 2), (6, 6, 108, 1),
        (3, 3, 256, 1)]  # fmt: skip
AWKWARD = [(1, 1, 4, 1), (1, 70, 5, 1), (70, 1, 7, 1), (7, 4, 2, 1), (4, 7, 3, 1), (9, 9, 3, 2), (2, 100, 6, 2),
           (13, 2, 9, 2), (1, 9, 4, 2), (9, 1, 4, 2), (2, 2, 4, 1), (5, 130, 4, 1)]  # fmt: skip


@pytest.fixture(scope="session")
def cross_tools() -> None:
    needs.programs("arm-none-eabi-gcc", "qemu-system-arm")


def layer(
    rng: Generator, shape: tuple[int, int, int], kernel: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1),
    padding: str = "SAME", pads: Pads | None = None, activation: str = "RELU", zero: int = -128, spread: float = 1.0,
    weights: Array | None = None, decades: float = 1.5,
) -> Graph:  # fmt: skip
    """A layer whose outputs cover `spread` times the range of int8, its channels' scales within some decades."""
    channels = shape[2]
    x = Tensor("x", (1, *shape), np.dtype(np.int8), Quant((0.02,), (int(rng.integers(-128, 128)),)))
    scales = tuple(float(np.float32(s)) for s in 10 ** (decades * rng.random(channels) - 3))
    if weights is None:
        weights = rng.integers(-127, 128, (1, *kernel, channels)).astype(np.int8)
    w = Tensor("w", weights.shape, weights.dtype, Quant(scales, (0,) * channels, 3), weights)
    bias = rng.integers(-9000, 9000, channels, np.int32)
    b = Tensor("b", bias.shape, bias.dtype, Quant((1.0,), (0,)), bias)
    # Sums of random products spread by about 127 * 127 / 3 times the root of their number.
    scale = 0.02 * float(np.mean(scales)) * 5400 * np.sqrt(kernel[0] * kernel[1]) * 2 / 128 / spread
    y = Tensor("y", (1,), np.dtype(np.int8), Quant((float(np.float32(scale)),), (zero,)))
    attrs = DepthwiseConv2D.Attrs(padding, stride[1], stride[0], activation, pads=pads)
    graph = single(OP, attrs, [x, w, b], y)
    assert graph is not None
    return graph


def real_layers(rng: Generator) -> Iterator[Graph]:
    for h, w, c, stride in REAL:
        yield layer(rng, (h, w, c), stride=(stride, stride))
        yield layer(rng, (h, w, c), stride=(stride, stride), padding="VALID", activation="NONE", zero=3)


def awkward_layers(rng: Generator) -> Iterator[Graph]:
    for h, w, c, stride in AWKWARD:
        yield layer(rng, (h, w, c), stride=(stride, stride))
        yield layer(rng, (h, w, c), stride=(stride, stride), activation="NONE", zero=-7)
    for kernel in itertools.product((1, 2, 3), (1, 2, 3)):
        yield layer(rng, (8, 6, 5), kernel, activation="NONE", zero=127)
        yield layer(rng, (6, 9, 4), kernel, (2, 2))
    for strides in ((1, 2), (2, 1)):
        yield layer(rng, (7, 6, 6), stride=strides)
        yield layer(rng, (6, 7, 9), stride=strides, padding="VALID")
    pads: list[Pads] = [((0, 1), (0, 1)), ((1, 1), (1, 1)), ((0, 0), (2, 2)), ((2, 2), (0, 1)), ((5, 4), (4, 5))]
    for each in pads:
        yield layer(rng, (6, 6, 8), pads=each)
        yield layer(rng, (6, 8, 7), stride=(2, 2), pads=each)
        yield layer(rng, (13, 3, 6), pads=each, activation="RELU6", zero=-100)


def scaled_layers(rng: Generator) -> Iterator[Graph]:
    """Every way to requantize: multipliers of any size, zero points and limits anywhere, extreme weights."""
    activations = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
    for spread, zero, activation in itertools.product((0.001, 0.03, 1.0, 30.0, 1000.0), (-128, 0, 127), activations):
        yield layer(rng, (4, 5, 6), spread=spread, zero=zero, activation=activation)
    for value in (-128, 127):
        yield layer(rng, (5, 5, 8), weights=np.full((1, 3, 3, 8), value, np.int8), activation="NONE")
        yield layer(rng, (5, 5, 8), weights=np.full((1, 3, 3, 8), value, np.int8), spread=50.0)


def random_layers(rng: Generator, count: int) -> Iterator[Graph]:
    suited = (graph for graph in OP.examples(rng) if DSP.suits(Call.of(graph, graph.nodes[0])))
    return itertools.islice(suited, count)


def all_kinds(rng: Generator) -> list[Graph]:
    return [*awkward_layers(rng), *scaled_layers(rng), *random_layers(rng, 40)]


def differences(graph: Graph, model: Compiled, samples: int = 3) -> list[str]:
    """Names of outputs that are wrong."""
    cases = [sample for _, sample in made_up(graph, samples, 5)]
    found = []
    with runner(model) as device:
        for case, got in zip(cases, device.run(cases), strict=True):
            values = interpret(graph, case)
            found += [n for n, a in zip(graph.outputs, got, strict=True) if (a != values[n]).any()]
    return found


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m33"])
def test_layers_equal_numpy(target: str) -> None:
    rng = np.random.default_rng(1)
    graphs = [*real_layers(rng), *all_kinds(rng)]
    assert set(many.kernels_used(many.compiled(many.merged(graphs), target))) == {KERNEL}
    assert many.differences(graphs, target, 3) == []


@pytest.mark.usefixtures("cross_tools")
def test_random_layers_equal_numpy() -> None:
    graphs = list(random_layers(np.random.default_rng(7), 120))
    assert many.differences(graphs, TARGET, 4, 7) == []


# -- rows, rings, in place -------------------------------------------------------------------------

BY_ROWS = """
static void in_pieces(const tin_depthwise_conv_2d_dsp_params *p, uint8_t *arena, int32_t rows)
{
    for (int32_t row = 0, step = 1; row < rows; row += step, step = step % 3 + 1)
        tin_depthwise_conv_2d_dsp(p, arena, row, row + step < rows ? row + step : rows);
}
"""
FROM_RING = """
#include <string.h>

static void in_pieces(const tin_depthwise_conv_2d_dsp_params *whole, uint8_t *arena, int32_t rows)
{
    static uint8_t ring[65536];
    tin_depthwise_conv_2d_dsp_params p = *whole;
    const uint8_t *image = arena + p.in.offset;
    int32_t loaded = 0;
    p.in.constant = ring;
    p.in.count = p.kernel_h + p.stride_h * EXTRA;
    for (int32_t row = 0; row < rows; row += 1 + EXTRA) {
        const int32_t end = row + 1 + EXTRA < rows ? row + 1 + EXTRA : rows;
        const int32_t last = (end - 1) * p.stride_h - p.pad_top + p.kernel_h;
        for (; loaded < last && loaded < p.in_h; loaded++)
            memcpy(ring + loaded % p.in.count * p.in.stride, image + loaded * p.in.stride, (size_t)p.in.stride);
        tin_depthwise_conv_2d_dsp(&p, arena, row, end);
    }
}
"""


def called_by(helper: str, model: Compiled) -> Compiled:
    """The model with a C function between it and the kernel."""
    name = f"{model.name}.c"
    text, count = re.subn(rf"{KERNEL}\((&\w+, arena), 0, (\d+)\);", r"in_pieces(\1, \2);", model.files[name])
    assert count == len(model.nodes)
    text = text.replace("static void run_nodes", f"{helper}\nstatic void run_nodes")
    return replace(model, files={**model.files, name: text})


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("helper", [BY_ROWS, FROM_RING.replace("EXTRA", "2")], ids=["pieces", "ring"])
def test_rows_may_come_in_pieces_and_from_rings(helper: str) -> None:
    graph = many.merged(all_kinds(np.random.default_rng(2)))
    apart = placed(many.compiled(graph, TARGET), over_inputs=False)
    assert differences(graph, called_by(helper, apart)) == []


def placed(model: Compiled, over_inputs: bool) -> Compiled:
    """The model with everything side by side, but outputs over inputs, as far as the kernel allows it."""
    graph, buffers, end = model.plan.graph, dict(model.plan.by_name), 0
    for node in graph.nodes:
        call, kernel = Call.of(graph, node), model.plan.kernel(node)
        x, y, scratch = call.x.name, call.y.name, f"scratch of {call.y.name}"
        above = 0 if kernel.in_place(call, 0) else kernel.separation(call, 0)
        if not over_inputs or above is None:
            above = call.y.nbytes
        above = above + 3 & ~3
        places = {x: end + max(above, 0), y: end + max(-above, 0)}
        places[scratch] = max(places[x] + call.x.nbytes, places[y] + call.y.nbytes) + 3 & ~3
        buffers[scratch] = replace(buffers[scratch], row_bytes=kernel.scratch_bytes(call))
        for name, place in places.items():
            buffers[name] = replace(buffers[name], offset=place)
        end = buffers[scratch].end + 3 & ~3
    plan: Plan = replace(model.plan, buffers=tuple(buffers.values()))
    return replace(model, plan=plan, files=linked(plan, model.name, model.mode.specialised))


def streamed(model: Compiled, kernel: DepthwiseConv2DDsp) -> Compiled:
    """The model with a form of the kernel that is meant for single rows."""
    return replace(model, plan=replace(model.plan, kernels={n.outputs[0]: kernel for n in model.plan.graph.nodes}))


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("kernel", [ROWS, LEAN], ids=["rows", "lean"])
@pytest.mark.parametrize("helper", [BY_ROWS, FROM_RING.replace("EXTRA", "0")], ids=["overlapping", "ring"])
def test_rows_stream(helper: str, kernel: DepthwiseConv2DDsp) -> None:
    rng = np.random.default_rng(8)
    graph = many.merged([*real_layers(rng), *all_kinds(rng)])
    overlapping = placed(streamed(many.compiled(graph, TARGET), kernel), over_inputs=helper == BY_ROWS)
    assert differences(graph, called_by(helper, overlapping)) == []


@pytest.mark.usefixtures("cross_tools")
def test_outputs_may_take_the_place_of_inputs() -> None:
    rng = np.random.default_rng(3)
    graphs = [*real_layers(rng), *all_kinds(rng)]
    allowed = [DSP.in_place(Call.of(g, g.nodes[0]), 0) for g in graphs]
    assert allowed[::2][: len(REAL)] == [True] * len(REAL), "a layer of a real model needs both tensors"
    assert not all(allowed)
    graph = many.merged(graphs)
    assert differences(graph, placed(many.compiled(graph, TARGET), over_inputs=True)) == []


def test_in_place_is_refused_where_it_would_do_harm() -> None:
    wide = Axis(size=6, kernel=3, stride=1, dilation=1, before=5, out=13)
    tall = Axis(size=40, kernel=3, stride=1, dilation=1, before=0, out=38)
    narrow = Axis(size=9, kernel=3, stride=1, dilation=1, before=0, out=7)
    for window in (Window(wide, wide), Window(tall, narrow)):
        found = lines(window, 8)
        assert found is not None and not found.in_place()


# -- requantization --------------------------------------------------------------------------------


def all_outputs(s: Scaling, kind: int, multiplier: int, start: int, bias: int) -> Array:
    """What the assembly computes for every accumulator of one channel, in its own 32 and 64 bits."""
    acc = np.arange(s.lo[0], s.hi[0] + 1)
    right = -int(s.shift[0])
    begin = np.full(len(acc), start)
    total = fixed.wrap32((acc - bias) << 13)
    if kind == AWAY:
        total = fixed.wrap32(acc << 13)
        rounding = s.zero * 65536 + 0x8000 + (0x8000 >> right)
        begin = np.where(total < 0, rounding - (0x10000 >> right), rounding)
    high = fixed.wrap32(((begin << 32) + total * multiplier) >> 32)
    result: Array = np.clip(high >> POINT[kind], -128, 127)
    return result


def test_fast_ways_equal_the_reference_for_every_accumulator() -> None:
    rng, found = np.random.default_rng(4), []
    for _ in range(300):
        right, zero = int(rng.integers(0, 16)), int(rng.choice([-128, 127, int(rng.integers(-128, 128))]))
        low = zero if rng.random() < 0.5 else -128
        reach, bias = int(rng.choice([50, 3000, 60000])), int(rng.integers(-90000, 90000))
        s = Scaling(
            np.array([int(rng.integers(2**30, 2**31))]), np.array([-right]), zero, low, 127,
            np.array([bias - reach]), np.array([bias + reach + 7]),
        )  # fmt: skip
        chosen = scales(s, np.array([bias]))
        kind = int(chosen.kind[0])
        found.append(kind)
        if kind != SLOW:
            expected = s.reference(np.arange(bias - reach, bias + reach + 8)[None, :])[0]
            got = all_outputs(s, kind, int(chosen.multiplier[0]), int(chosen.start[0]), bias)
            assert (got == expected).all(), s
    assert {FAST, AWAY, SLOW, WIDE} <= set(found)
    assert found.count(SLOW) < len(found) // 2


def test_usual_layers_are_fast() -> None:
    rng = np.random.default_rng(5)
    for activation, zero, kind in (("RELU", -128, FAST), ("RELU6", -128, FAST), ("NONE", 5, AWAY)):
        graph = layer(rng, (8, 8, 32), activation=activation, zero=zero, decades=0.5)
        found = DSP.scales(Call.of(graph, graph.nodes[0])).kind
        assert (found <= kind).all() and (found == kind).mean() > 0.8


def test_last_channels_come_with_those_before_them() -> None:
    assert lanes(8) == list(range(8))
    assert lanes(6) == [0, 1, 2, 3, 6, 7]
    assert lanes(3) == [0, 1, 2]


def test_what_the_kernel_does_not_know_is_left_to_the_portable_one() -> None:
    rng = np.random.default_rng(6)
    for graph in (layer(rng, (9, 9, 4), (5, 5)), layer(rng, (9, 9, 4), stride=(3, 3)), layer(rng, (9, 9, 1))):
        assert not DSP.suits(Call.of(graph, graph.nodes[0]))
