"""Shrinking leaves every output byte as it is, removes what it should, and nothing because of samples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import parity
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import Network

from tinsmith import ops
from tinsmith.check import verify
from tinsmith.graph import Array, Graph
from tinsmith.interpret import interpret
from tinsmith.load.tflite import load_file
from tinsmith.ops import Call, _taps
from tinsmith.ops._taps import Taps
from tinsmith.ops._weighted import Weighted
from tinsmith.passes import lower, stages
from tinsmith.passes._channels import find_intervals
from tinsmith.passes.fold_constants import fold_constants
from tinsmith.passes.fold_input_offset import fold_input_offset
from tinsmith.passes.shrink import savings, shrink
from tinsmith.samples import made_up
from tinsmith.save.tflite import save_tflite

ZOO = {
    "mlperf_tiny/vww96_int8": (3727313, 3766476), "tflm/person_detect": (7077246, 7157888),
    "mlperf_tiny/kws_int8": (2656768, 2656768), "mlperf_tiny/resnet8_int8": (12501632, 12501632),
    "mlperf_tiny/ad01_int8": (264192, 264192), "tflm/micro_speech_quantized": (336000, 336000),
    "tflm/hello_world_int8": (220, 220),
}  # fmt: skip  # MACs, with all channels removed that can be, and with counts in fours
SEEDS = range(60)
FC = "FULLY_CONNECTED"


def samples(graph: Graph, seed: int, count: int = 2) -> list[parity.Inputs]:
    return list(parity.samples(graph, np.random.default_rng(seed), count))


def changed(graph: Graph, seed: int, multiple: int) -> bool:
    """Whether shrinking changes an output, before or after the input offset is folded."""
    inputs = samples(graph, seed)
    expected = [parity.numpy_outputs(graph, x) for x in inputs]
    for before in (graph, fold_input_offset(graph)):
        after = verify(shrink(before, multiple))
        if any(not parity.equal(parity.numpy_outputs(after, x), y) for x, y in zip(inputs, expected, strict=True)):
            return True
    return False


def unsound(graph: Graph, seed: int) -> bool:
    """Whether a value lies outside its bounds."""
    bounds = {n: b for n, b in find_intervals(graph).items() if b is not None}
    for x in samples(graph, seed):
        for name, value in interpret(graph, x).items():
            rows = value.reshape(-1, value.shape[-1] if value.shape else 1)
            if name in bounds and ((rows < bounds[name].low) | (rows > bounds[name].high)).any():
                return True
    return False


# -- random networks -------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), multiple=st.sampled_from([1, 2, 4]))
def test_random_networks_keep_their_bytes_and_bounds(seed: int, multiple: int) -> None:
    graph = verify(planted.network(seed))
    assert not unsound(graph, seed)
    assert not changed(graph, seed, multiple)


def test_random_networks_hold_what_is_to_be_removed() -> None:
    """Or the test above would prove nothing."""
    smaller: set[str] = set()
    for seed in SEEDS:
        graph = planted.network(seed)
        after = shrink(graph, 1)
        smaller |= {n.op for n in after.nodes if after[n.outputs[0]].shape != graph[n.outputs[0]].shape}
    kinds = "CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED ADD CONCATENATION PAD MEAN RESHAPE MAX_POOL_2D AVERAGE_POOL_2D"
    assert smaller == set(kinds.split())


def test_c_kernels_agree_on_shrunk_networks() -> None:
    for seed in range(12):
        graph = planted.network(seed)
        program = parity.Compiled(graph, parity.kernels())
        for x in samples(graph, seed):
            assert parity.equal(program.run(x), parity.numpy_outputs(graph, x)), seed


def test_the_judge_agrees_on_shrunk_networks() -> None:
    pytest.importorskip("tflite_micro", reason="the judge is the wheel of TensorFlow Lite Micro")
    networks = {seed: planted.network(seed) for seed in range(40)}
    # A fully connected layer cannot get a bias in a file without another multiplier.
    networks = {s: g for s, g in networks.items() if all(len(n.inputs) == 3 for n in g.nodes if n.op == FC)}
    assert len(networks) > 20
    for seed, graph in networks.items():
        inputs = samples(graph, seed)
        for a, b in zip(parity.judge(graph, inputs), parity.judge(shrink(graph, 1), inputs), strict=True):
            assert parity.equal(a, b), seed


# -- mutations: what the tests above would notice --------------------------------------------------


def breaks(check: Any) -> bool:
    return any(check(planted.network(seed), seed) for seed in SEEDS)


def test_lost_constants_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taps, "constant_part", lambda self, values: np.zeros(len(self.weights), np.int64))
    assert breaks(lambda graph, seed: changed(graph, seed, 1))


def test_forgotten_padding_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Taps.reads
    monkeypatch.setattr(Taps, "reads", lambda self, x: honest(self, x) & ~x.constant)
    assert breaks(lambda graph, seed: changed(graph, seed, 1))


def test_bounds_without_borders_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = _taps.along
    monkeypatch.setattr(_taps, "along", lambda axis: (honest(axis)[0], honest(axis)[0]))
    assert breaks(unsound)


def test_bounds_of_raw_values_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Weighted.centred_bias
    monkeypatch.setattr(Weighted, "centred_bias", lambda self, call: honest(self, call) + 100)
    assert breaks(unsound)


# -- the zoo ---------------------------------------------------------------------------------------


def load(zoo: Path, name: str) -> Graph:
    return fold_constants(load_file(zoo / f"{name}.tflite"))


@pytest.mark.parametrize("name", ZOO)
def test_zoo_models_shrink_as_far_as_known(zoo: Path, name: str) -> None:
    graph, (least, in_fours) = load(zoo, name), ZOO[name]
    for multiple, macs in ((1, least), (4, in_fours)):
        after = verify(shrink(graph, multiple))
        assert savings(graph, after).macs[1] == macs
        assert savings(after, shrink(after, multiple)).macs == (macs, macs)
    assert shrink(graph) is graph or least < savings(graph, graph).macs[0]


def test_vww96_keeps_a_sixth_of_its_constants(zoo: Path) -> None:
    graph = load(zoo, "mlperf_tiny/vww96_int8")
    assert savings(graph, shrink(graph, 1)).constant_bytes == (219064, 33122)
    assert savings(graph, shrink(graph, 4)).constant_bytes == (219064, 34508)


@pytest.mark.parametrize("name", ["mlperf_tiny/vww96_int8", "tflm/person_detect"])
def test_shrinking_takes_less_than_a_second(zoo: Path, name: str) -> None:
    graph = dict(stages(load_file(zoo / f"{name}.tflite")))["tabulate"]
    start = time.process_time()
    shrink(graph)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("name", ["mlperf_tiny/vww96_int8", "tflm/person_detect", "tflm/hello_world_int8"])
def test_zoo_models_keep_their_bytes(zoo: Path, name: str) -> None:
    """In numpy, in the judge with the shrunk model as a file, and in C; for extremes and random inputs."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    graph = load(zoo, name)
    inputs = [x for _, x in made_up(graph, 8, 3)]
    original = runtime.Interpreter.from_file(str(zoo / f"{name}.tflite"), arena_size=1 << 20)
    after = shrink(graph, 1)
    shrunk = parity.judge(save_tflite(after), inputs)
    program = parity.Compiled(graph, parity.kernels())
    for x, found in zip(inputs, shrunk, strict=True):
        original.set_input(x[0], 0)
        original.invoke()
        expected = [np.array(original.get_output(0))]
        assert parity.equal(found, expected)
        assert parity.equal(program.run(x), expected)
    assert parity.equal(parity.numpy_outputs(after, inputs[-1]), expected)


# -- silence is no proof ---------------------------------------------------------------------------


def test_neurons_that_samples_leave_silent_stay(zoo: Path) -> None:
    """Neurons of ad01 that no random input wakes are woken by inputs that are searched for; none is removed."""
    graph = lower(load_file(zoo / "mlperf_tiny/ad01_int8.tflite"))
    rng, shape = np.random.default_rng(0), graph[graph.inputs[0]].shape
    layers = [n for n in graph.nodes if n.op == FC][:2]
    runs = [interpret(graph, [rng.integers(-128, 128, shape).astype(np.int8)]) for _ in range(60)]
    silent = [(i, j) for i, node in enumerate(layers) for j in constant_in(runs, node.outputs[0])]
    assert len(silent) >= 20
    for layer, neuron in silent:
        name = layers[layer].outputs[0]
        asleep = runs[0][name].reshape(-1)[neuron]
        woken = (interpret(graph, [x])[name].reshape(-1)[neuron] != asleep for x in searched(graph, layer, neuron, rng))
        assert any(woken), f"neuron {neuron} of layer {layer}"
    assert savings(graph, shrink(graph, 1)).macs == (264192, 264192)


def constant_in(runs: list[Any], name: str) -> list[int]:
    seen = np.stack([r[name].reshape(-1) for r in runs])
    return [int(i) for i in np.flatnonzero((seen == seen[0]).all(axis=0))]


def searched(graph: Graph, layer: int, neuron: int, rng: np.random.Generator) -> Iterator[Array]:
    """Inputs that climb along the neuron's slope, ever less sure about what is behind sleeping ones."""
    nodes = [n for n in graph.nodes if n.op == FC]
    matrices = [np.asarray(graph[n.inputs[1] or ""].data, np.float64) for n in nodes]
    x = rng.integers(-128, 128, graph[graph.inputs[0]].shape).astype(np.int8)
    for step in range(12):
        yield x
        values, slope = interpret(graph, [x]), matrices[layer][neuron]
        for i in range(layer - 1, -1, -1):
            awake = values[nodes[i].outputs[0]].reshape(-1) > graph[nodes[i].outputs[0]].zero_point
            slope = (slope * np.where(awake, 1, step / 12)) @ matrices[i]
        x = np.where(slope > 0, 127, -128).astype(np.int8).reshape(x.shape)


def test_giant_models_stay_as_they_are() -> None:
    """Bounds take memory for every channel, of which a hostile file may claim any number."""
    graph = planted.network(0)
    assert shrink(graph, 1) is not graph
    x = replace(graph[graph.inputs[0]], shape=(1, 1, 1, 2**30))
    huge = replace(graph, tensors={**graph.tensors, x.name: x})
    assert shrink(huge, 1) is huge


# -- what a report says ----------------------------------------------------------------------------


def test_savings_count_weights_once() -> None:
    net = Network(np.random.default_rng(0))
    x = net.input(1, 4, 4, 3)
    weights = np.ones((2, 1, 1, 3), np.int8)
    y = net.weighted("CONV_2D", x, weights, 0, np.zeros(2), fused_activation_function="NONE")
    graph = net.graph(y)
    found = savings(graph, graph)
    assert (found.macs, found.constant_bytes) == ((96, 96), (14, 14)) and not found


def test_weights_keep_their_multipliers() -> None:
    """Scales a channel follow their channels, so that not one multiplier changes."""
    compared = 0
    for seed in SEEDS:
        graph = planted.network(seed)
        after = shrink(graph, 1)
        for node in after.nodes:
            op, call = ops.find(node.op), Call.of(after, node)
            if isinstance(op, Weighted):
                found = op.multipliers(call)
                known = iter(op.multipliers(Call.of(graph, graph.nodes[graph.producers[node.outputs[0]]])))
                assert all(m in known for m in found), seed  # a subsequence
                compared += len(found)
    assert compared > 100
