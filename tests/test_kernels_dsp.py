"""Kernels for the DSP extension equal numpy: any shape, rows in pieces and from rings, outputs over their inputs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import many
import needs
import numpy as np
import pytest
from numpy.random import Generator

from tinsmith import targets
from tinsmith.arch.dsp import _matrix
from tinsmith.arch.dsp._requant import (
    Scaling,
    least_multiple,
    lower_result,
    lower_stage,
    proved,
    signed_result,
    signed_stage,
    upper_result,
    upper_stage,
)  # fmt: skip
from tinsmith.arch.dsp.add import AddDsp
from tinsmith.arch.dsp.conv_2d import Conv2DDsp, Way, best_blocks
from tinsmith.arch.dsp.fully_connected import FullyConnectedDsp
from tinsmith.emit import linked
from tinsmith.graph import Array, Graph, Quant, Tensor
from tinsmith.interpret import interpret
from tinsmith.ops import Call, find, lean_form, select
from tinsmith.ops._examples import single
from tinsmith.ops.base import LEAN
from tinsmith.pipeline import Compiled, compile_model
from tinsmith.runners import runner
from tinsmith.samples import made_up

TARGET = "cortex-m4"
OPS = ("ADD", "AVERAGE_POOL_2D", "CONV_2D", "FULLY_CONNECTED")

# (input height, width, channels), output channels, (kernel height, width), stride of layers in well-known models.
REAL = [((25, 5, 64), 64, (1, 1), 1), ((49, 10, 1), 64, (10, 4), 2), ((49, 40, 1), 8, (10, 8), 2),
        ((16, 16, 16), 16, (3, 3), 1), ((8, 8, 64), 64, (3, 3), 1), ((32, 32, 3), 16, (3, 3), 1),
        ((24, 24, 3), 8, (3, 3), 2), ((24, 24, 1), 7, (3, 3), 2), ((16, 16, 32), 64, (1, 1), 2),
        ((24, 24, 8), 16, (1, 1), 1), ((6, 6, 108), 59, (1, 1), 1), ((3, 3, 256), 256, (1, 1), 1),
        ((1, 1, 256), 2, (1, 1), 1)]  # fmt: skip
# Every rest of taps and words, every number of pixels, odd channels.
ROWS = [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 5, 1), (5, 66, 5), (6, 63, 3), (7, 65, 2), (9, 130, 3), (13, 127, 4)]
AWKWARD = [((1, pixels, in_c), out_c, (1, 1), 1) for pixels, in_c, out_c in ROWS]
AWKWARD += [((5, 7, in_c), 5, kernel, 1) for in_c in (1, 2, 3, 5, 6) for kernel in ((3, 3), (2, 5), (5, 1))]
# Blocks of three and two pixels: a first load of every length modulo 8, one load to four, single words, odd channels.
FEW = [((1, 5, 130), 33, (1, 1), 1)]  # so large that a model gets all blocks for its sake
FEW += [((1, 5 + words % 2 * 4, 2 * words - words % 3 // 2), 2 + words // 2 % 4, (1, 1), 1)
        for words in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 32, 33, 34, 41, 66, 99)]  # fmt: skip
FEW += [((1, pixels, in_c), 3, (1, 1), 1) for pixels in (1, 2, 6, 7, 10) for in_c in (2, 68)]
FEW += [((3, pixels, in_c), 3, (3, 2), 1) for pixels in (2, 5) for in_c in (3, 4, 23)]
# Lines: blocks that lie on each other, at either edge or both, with strides; every rest of a row of taps.
LINES = [((4, 4, 3), 4, (3, 3), 1), ((9, 27, 2), 3, (3, 3), 2), ((5, 8, 5), 5, (4, 7), 1), ((3, 29, 1), 2, (1, 3), 4),
         ((6, 7, 6), 6, (3, 3), 1), ((12, 16, 16), 8, (3, 3), 2), ((4, 8, 66), 3, (2, 2), 1),
         ((5, 8, 4), 4, (3, 3), 1), ((7, 15, 3), 4, (3, 3), 2), ((6, 12, 9), 3, (2, 1), 1)]  # fmt: skip
# Windows that share columns: two loads or more, the first one short or full.
SHARED = [((4, 7, 24), 3, (1, 3), 1), ((5, 8, 12), 4, (2, 3), 1), ((7, 4, 8), 5, (3, 3), 1),
          ((3, 15, 12), 2, (3, 3), 1),
          ((6, 12, 20), 7, (3, 3), 1), ((9, 8, 24), 6, (5, 3), 1), ((2, 8, 44), 1, (1, 3), 1),
          ((3, 4, 40), 2, (3, 3), 1)]  # fmt: skip


@pytest.fixture(scope="session")
def cross_tools() -> None:
    needs.programs("arm-none-eabi-gcc", "qemu-system-arm")


def layer(
    rng: Generator, shape: tuple[int, int, int], out_c: int, kernel: tuple[int, int], stride: int = 1,
    activation: str = "RELU", zero: int = -128, spread: float = 1.0, weights: Array | None = None, dilation: int = 1,
    decades: float = 0.7,
) -> Graph:  # fmt: skip
    """A convolution whose outputs cover about `spread` times the range of int8."""
    x = Tensor("x", (1, *shape), np.dtype(np.int8), Quant((0.02,), (int(rng.integers(-128, 128)),)))
    if weights is None:
        weights = rng.integers(-127, 128, (out_c, *kernel, shape[2])).astype(np.int8)
    scales = tuple(float(np.float32(s)) for s in 10 ** (decades * rng.random(out_c) - 3))
    w = Tensor("w", weights.shape, weights.dtype, Quant(scales, (0,) * out_c, 0), weights)
    bias = rng.integers(-9000, 9000, out_c, np.int32)
    b = Tensor("b", bias.shape, bias.dtype, Quant(tuple(0.02 * s for s in scales), (0,) * out_c, 0), bias)
    reach = 0.02 * float(np.median(scales)) * 5400 * np.sqrt(weights[0].size) * 4 / 256
    y = Tensor("y", (1,), np.dtype(np.int8), Quant((float(np.float32(reach / spread)),), (zero,)))
    attrs = Conv2DDsp.Attrs(
        stride_h=stride, stride_w=stride, fused_activation_function=activation,
        dilation_h_factor=dilation, dilation_w_factor=dilation,
    )  # fmt: skip
    graph = single(find("CONV_2D"), attrs, [x, w, b], y)
    assert graph is not None
    return graph


def layers(rng: Generator) -> Iterator[Graph]:
    """Layers of models and awkward ones, with every kind of activation, zero point and scale."""
    for index, geometry in enumerate([*FEW, *REAL, *AWKWARD, *LINES, *SHARED]):
        activation, zero = [("RELU", -128), ("NONE", 4), ("RELU6", -128), ("RELU", 20)][index % 4]
        yield layer(rng, *geometry, activation=activation, zero=zero, spread=[1.0, 3.0, 0.3][index % 3])
    for value in (-128, -127, 127):
        extreme = np.full((6, 3, 3, 8), value, np.int8)
        extreme[1::2] = -127
        yield layer(rng, (6, 6, 8), 6, (3, 3), activation="NONE", weights=extreme, spread=40.0)
    for decades, spread in ((5.0, 1.0), (5.0, 1e4), (0.1, 1e-4)):
        yield layer(rng, (4, 5, 6), 9, (2, 2), decades=decades, spread=spread)
    yield layer(rng, (9, 9, 4), 6, (3, 3), dilation=2)
    yield layer(rng, (8, 8, 5), 4, (3, 2), stride=3, dilation=3)
    for geometry in (LINES[1], SHARED[4]):
        yield layer(rng, *geometry, weights=np.full((geometry[1], *geometry[2], geometry[0][2]), -128, np.int8))
        tall = layer(rng, *geometry)
        yield altered(tall, dilation_h_factor=2)
        yield altered(tall, padding="VALID")


def altered(graph: Graph, **attrs: object) -> Graph:
    """The same layer with other attributes."""
    node, (x, w, b, _) = graph.nodes[0], graph.tensors.values()
    made = single(find(node.op), replace(node.attrs, **attrs), [x, w, b], replace(graph[node.outputs[0]], shape=(1,)))
    assert made is not None
    return made


def way_of(graph: Graph) -> Way:
    return Conv2DDsp().way(Call.of(graph, graph.nodes[0]))


def examples(name: str, rng: Generator, count: int) -> list[Graph]:
    return list(itertools.islice(find(name).examples(rng), count))


def kernel_of(graph: Graph) -> str:
    return select(Call.of(graph, graph.nodes[0]), ("dsp",)).kernel


# -- results ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m33"])
def test_convolutions_equal_numpy(target: str) -> None:
    graphs = list(layers(np.random.default_rng(1)))[:: 1 if target == TARGET else 3]
    model = many.compiled(many.merged(graphs), target)
    assert set(many.kernels_used(model)) == {"tin_conv_2d_dsp"}
    assert not model.plan.omitted_parts(thrifty=True)
    assert many.differences(graphs, target, 3) == []


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize(("pixels", "blocks"), [(12, ()), (7, (3,)), (9, (3,)), (2, (2,)), (5, (3, 2))])
def test_layers_have_the_blocks_that_they_gain_by(pixels: int, blocks: tuple[int, ...]) -> None:
    rng = np.random.default_rng(16)
    graphs = [layer(rng, (1, pixels, 70), 65, (1, 1), activation=activation) for activation in ("RELU", "NONE")]
    omitted = many.compiled(many.merged(graphs), TARGET).plan.omitted_parts(thrifty=True)
    assert tuple(n for n in (3, 2) if f"TIN_CONV_2D_DSP_BLOCK{n}" not in omitted) == blocks
    assert many.differences(graphs, TARGET, 3) == []


@pytest.mark.usefixtures("cross_tools")
def test_blocks_of_four_alone_leave_what_is_behind_their_pixels() -> None:
    """Small layers do not get blocks of their own for what is left over, be it one, two or three pixels."""
    rng = np.random.default_rng(18)
    shapes = [(1, pixels, depth) for pixels in (1, 2, 3, 6, 9, 10) for depth in (2, 5)]
    graphs = [layer(rng, shape, 3, (1, 1)) for shape in shapes] + [layer(rng, (3, 2, 3), 2, (3, 1)) for _ in range(4)]
    omitted = many.compiled(many.merged(graphs), TARGET).plan.omitted_parts(thrifty=True)
    assert {"TIN_CONV_2D_DSP_BLOCK2", "TIN_CONV_2D_DSP_BLOCK3"} <= set(omitted)
    assert many.differences(graphs, TARGET, 3) == []


def test_blocks_follow_from_the_pixels_a_call(zoo: Path) -> None:
    assert best_blocks([125], 1000, thrifty=True) == ("block3",)
    assert best_blocks([125], 1000, thrifty=False) == best_blocks([5] * 25, 1000, thrifty=True) == ("block3", "block2")
    assert best_blocks([1], 128, thrifty=True) == (), "hardly worth its code"
    for mode, missing in (("ram", set()), ("speed", {"TIN_CONV_2D_DSP_BLOCK2"})):
        plan = compile_model(zoo / "mlperf_tiny/kws_int8.tflite", targets.load(TARGET), optimize=mode).plan
        assert {m for m in plan.omitted_parts(thrifty=True) if "BLOCK" in m} == missing


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("name", OPS)
def test_random_examples_equal_numpy(name: str) -> None:
    graphs = examples(name, np.random.default_rng(2), 90)
    fast = [kernel_of(g).endswith("_dsp") for g in graphs]
    assert all(fast) or (name == "FULLY_CONNECTED" and sum(fast) > len(fast) / 2)
    assert many.differences(graphs, TARGET, 4, 2) == []


@pytest.mark.usefixtures("cross_tools")
def test_kernels_compiled_into_the_model_equal_numpy() -> None:
    graphs = [g for name in OPS for g in examples(name, np.random.default_rng(3), 8)]
    assert many.differences(graphs, TARGET, 3, optimize="speed") == []


# -- rows, rings, overlap --------------------------------------------------------------------------

CALL = re.compile(r"(tin_\w+_dsp(?:_lean)?)\(&(\w+), arena, 0, (\d+)\);")
FROM_RING = """
#include <string.h>

/* Input rows come one by one into a ring that holds just those which an output row needs, and two more. */
static void from_ring(const tin_conv_2d_dsp_params *whole, uint8_t *arena, int32_t rows)
{
    static uint8_t ring[65536];
    tin_conv_2d_dsp_params p = *whole;
    const uint8_t *image = arena + p.in.offset;
    const int32_t extent = (p.kernel_h - 1) * p.dilation_h + 1;
    int32_t loaded = 0;
    p.in.constant = ring;
    p.in.count = extent + 2;
    for (int32_t row = 0; row < rows; row++) {
        const int32_t last = row * p.stride_h - p.pad_top + extent;
        for (; loaded < last && loaded < p.in_h; loaded++)
            memcpy(ring + loaded % p.in.count * p.in.stride, image + loaded * p.in.stride, (size_t)p.in.stride);
        tin_conv_2d_dsp(&p, arena, row, row + 1);
    }
}
"""


def wrong_outputs(model: Compiled, samples: int = 2) -> list[str]:
    cases = [sample for _, sample in made_up(model.source, samples, 5)]
    found = []
    with runner(model) as device:
        for case, got in zip(cases, device.run(cases), strict=True):
            values = interpret(model.source, case)
            found += [n for n, a in zip(model.source.outputs, got, strict=True) if (a != values[n]).any()]
    return found


def called(model: Compiled, how: str, helper: str = "") -> Compiled:
    """The model with its calls of kernels replaced; groups of `how` are kernel, parameters, rows."""
    name = f"{model.name}.c"
    text, count = CALL.subn(how, model.files[name])
    assert count == len(model.nodes)
    text = text.replace("static void run_nodes", f"{helper}\nstatic void run_nodes")
    return replace(model, files={**model.files, name: text})


@pytest.mark.usefixtures("cross_tools")
def test_rows_may_come_in_pieces() -> None:
    rng = np.random.default_rng(4)
    graphs = [*layers(rng), *(g for name in OPS for g in examples(name, rng, 20))]
    graph = many.merged([g for g in graphs if kernel_of(g).endswith("_dsp")])
    pieces = (
        r"for (int32_t row = 0, step = 1; row < \3; row += step, step = step % 3 + 1)"
        r" \1(&\2, arena, row, row + step < \3 ? row + step : \3);"
    )
    assert wrong_outputs(called(many.compiled(graph, TARGET), pieces)) == []


@pytest.mark.usefixtures("cross_tools")
def test_inputs_may_be_rings_of_rows() -> None:
    rng = np.random.default_rng(5)
    graph = many.merged([*layers(rng), *examples("CONV_2D", rng, 30)])
    assert wrong_outputs(called(many.compiled(graph, TARGET), r"from_ring(&\2, arena, \3);", FROM_RING)) == []


def over_their_inputs(model: Compiled) -> Compiled:
    """The model with every output as far up in its input as the kernel allows, everything else side by side."""
    graph, buffers, end = model.plan.graph, dict(model.plan.by_name), 0
    for node in graph.nodes:
        call, kernel = Call.of(graph, node), model.plan.kernel(node)
        apart = kernel.separation(call, 0)
        assert apart is not None
        x, y, scratch = call.x.name, call.y.name, f"scratch of {call.y.name}"
        places = {y: end, x: end + (max(apart, 0) + 3 & ~3)}
        places[scratch] = max(end + call.y.nbytes, places[x] + call.x.nbytes) + 3 & ~3
        for name, place in places.items():
            if name in buffers:
                buffers[name] = replace(buffers[name], offset=place)
        if scratch in buffers:
            buffers[scratch] = replace(buffers[scratch], row_bytes=kernel.scratch_bytes(call))
        end = places[scratch] + (buffers[scratch].nbytes if scratch in buffers else 0) + 3 & ~3
    plan = replace(model.plan, buffers=tuple(buffers.values()))
    return replace(model, plan=plan, files=linked(plan, model.name, model.mode.specialised))


@pytest.mark.usefixtures("cross_tools")
def test_outputs_may_run_into_inputs() -> None:
    rng = np.random.default_rng(6)
    graph = many.merged([*layers(rng), *examples("CONV_2D", rng, 30), *examples("AVERAGE_POOL_2D", rng, 20)])
    assert wrong_outputs(over_their_inputs(many.compiled(graph, TARGET))) == []


def lean(graph: Graph) -> Compiled:
    """Compiled for kernels with little scratch."""
    model = many.compiled(graph, TARGET)
    forms = {n.outputs[0]: lean_form(Call.of(graph, n), model.plan.kernel(n)) for n in graph.nodes}
    assert {kernel.purpose for kernel in forms.values()} == {LEAN}
    return replace(model, plan=replace(model.plan, kernels=forms))


def lean_layers(rng: Generator) -> Graph:
    graphs = [*layers(rng), *examples("CONV_2D", rng, 30)]
    return many.merged([g for g in graphs if lean_form(Call.of(g, g.nodes[0]), Conv2DDsp()).purpose])


@pytest.mark.usefixtures("cross_tools")
def test_lean_convolutions_equal_numpy_over_their_inputs() -> None:
    assert wrong_outputs(over_their_inputs(lean(lean_layers(np.random.default_rng(13)))), 3) == []


@pytest.mark.usefixtures("cross_tools")
def test_inputs_of_lean_convolutions_may_be_rings_of_rows() -> None:
    model = over_their_inputs(lean(lean_layers(np.random.default_rng(14))))
    helper = FROM_RING.replace("tin_conv_2d_dsp", "tin_conv_2d_dsp_lean")
    assert wrong_outputs(called(model, r"from_ring(&\2, arena, \3);", helper)) == []


def test_lean_convolutions_take_no_scratch() -> None:
    rng = np.random.default_rng(15)
    for shape, out_c, kernel, stride in [*REAL, *SHARED]:
        graph = layer(rng, shape, out_c, kernel, stride)
        call = Call.of(graph, graph.nodes[0])
        assert lean_form(call, Conv2DDsp()).scratch_bytes(call) == 0 < Conv2DDsp().scratch_bytes(call)


# -- offline ---------------------------------------------------------------------------------------


def random_scaling(rng: Generator, channels: int, reach: int) -> Scaling:
    zero = int(rng.choice([-128, 127, int(rng.integers(-128, 128))]))
    low = zero if rng.random() < 0.5 else -128
    return Scaling(
        rng.integers(2**30, 2**31, channels), -rng.integers(0, 24, channels), zero, low, int(rng.integers(low, 128)),
        -rng.integers(1, reach, channels), rng.integers(1, reach, channels),
    )  # fmt: skip


def test_proved_scales_equal_the_reference_for_every_accumulator() -> None:
    rng = np.random.default_rng(7)
    forms = ((upper_stage, upper_result), (lower_stage, lower_result), (signed_stage, signed_result))
    found: list[list[float]] = [[], [], []]
    acc = np.arange(-30000, 30001)[None, :]
    for _ in range(150):
        s = random_scaling(rng, 4, 30000)
        inside = (acc >= s.lo[:, None]) & (acc <= s.hi[:, None])
        expected = s.reference(np.broadcast_to(acc, inside.shape))
        for (stage, result), shares in zip(forms, found, strict=True):
            made = stage(s)
            assert not (inside & (s.clamp(result(made, acc)) != expected))[made.exact].any()
            shares.append(float(made.exact.mean()))
    upper, lower, signed = map(np.mean, found)
    assert upper > 0.1 and lower > 0.1 and signed > 0.6


def test_least_multiples_are_the_least() -> None:
    rng = np.random.default_rng(12)
    for _ in range(400):
        modulus = int(rng.integers(2, 60))
        step, low, width = int(rng.integers(0, modulus)), int(rng.integers(0, modulus)), int(rng.integers(0, 9))
        wanted = {value % modulus for value in range(low, low + width + 1)}
        expected = next((k for k in range(modulus) if k * step % modulus in wanted), None)
        assert least_multiple(step, modulus, low, low + width) == expected, (step, modulus, low, width)


def test_wrong_constants_are_not_proved() -> None:
    rng = np.random.default_rng(8)
    s = replace(random_scaling(rng, 200, 2**20), shift=-rng.integers(6, 12, 200), zero=3, low=-128, high=127)
    signed, relu = signed_stage(s), replace(s, low=3)
    assert signed.exact.all()
    off = replace(signed, constant=signed.constant + 1)
    assert not proved(lambda a: signed_result(off, a), s).any()
    for stage, result in ((upper_stage, upper_result), (lower_stage, lower_result)):
        fast = stage(relu)
        assert fast.exact.mean() > 0.8 and not stage(s).exact.any()
        steep = replace(fast, multiplier=fast.multiplier + fast.multiplier // 1000)
        assert proved(partial(result, steep), relu).mean() < 0.05
        assert not proved(partial(result, fast), s).any(), "the fast forms are not for negative outputs"
    late = lower_stage(relu)
    late = replace(late, extra=late.extra + 1)
    assert proved(partial(lower_result, late), relu).mean() < 0.05


def test_weights_do_not_grow() -> None:
    rng = np.random.default_rng(9)
    for shape, out_c, kernel, stride in REAL:
        graph = layer(rng, shape, out_c, kernel, stride)
        params = Conv2DDsp().params(Call.of(graph, graph.nodes[0]))
        rows, taps = kernel[0], kernel[1] * shape[2]
        words = rows * -(-taps // 2)  # odd runs take one more tap a row
        assert params.stream.nbytes == -(-out_c // 2) * 4 * (words + 7)


def test_ways_are_chosen_where_they_pay() -> None:
    rng = np.random.default_rng(10)
    assert {way_of(layer(rng, *geometry)) for geometry in LINES} == {Way.LINES}
    assert {way_of(layer(rng, *geometry)) for geometry in SHARED} == {Way.SLIDING}
    assert way_of(layer(rng, *REAL[0])) == Way.LINEAR
    assert way_of(layer(rng, *REAL[1])) == Way.WINDOWS, "five pixels a line would be eight"
    assert way_of(layer(rng, *SHARED[4], weights=np.full((7, 3, 3, 20), -128, np.int8))) == Way.LINES


def test_layers_of_real_models_need_no_plain_code(zoo: Path) -> None:
    for name in ("mlperf_tiny/kws_int8", "mlperf_tiny/resnet8_int8", "mlperf_tiny/ad01_int8", "tflm/person_detect"):
        model = compile_model(zoo / f"{name}.tflite", targets.load(TARGET))
        for node in model.nodes:
            call = Call.of(model.plan.graph, node)
            op = select(call, ("dsp",))
            if isinstance(op, Conv2DDsp):
                assert len(op.params(call).runs) == 1, node.name
            elif isinstance(op, FullyConnectedDsp):
                assert not op.params(call).wide, node.name
            elif isinstance(op, AddDsp):
                assert op.params(call).linear, node.name
            else:
                assert op.arch == "dsp" or node.op not in OPS, node.name


def test_weights_that_fit_no_lane_are_left_to_plain_code() -> None:
    pairs = np.array([[[-1], [-128]], [[1], [-128]], [[-128], [127]], [[-128], [-128]]], np.int8)
    assert _matrix.lanes_fit(pairs).tolist() == [False, True, True, False]
    assert list(_matrix.run_lengths(np.array([False, True, True, False]))) == [0, 1, 2, 1]
