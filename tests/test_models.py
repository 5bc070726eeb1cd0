"""The project's own models are what their manifests say, and their recipe computes what it claims."""

from __future__ import annotations

import hashlib
import importlib
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import needs
import numpy as np
import pytest
import tflite

from tinsmith.graph import Array
from tinsmith.save.tflite import save_tflite

needs.module("sklearn")  # scikit-learn holds the digits
runtime: Any = needs.module("tflite_micro.python.tflite_micro.runtime")

MODELS = Path(__file__).resolve().parents[1] / "models"
MANIFESTS = sorted(MODELS.glob("*/manifest.toml"))


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the digits recipe, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(MODELS / "digits")

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def run(blob: bytes, images: Array) -> Array:
    """Int8 outputs of the model for float images, one at a time."""
    interpreter = runtime.Interpreter.from_bytes(blob)
    quant = interpreter.get_input_details(0)["quantization_parameters"]
    steps = np.clip(np.round(images / quant["scales"][0]) + quant["zero_points"][0], -128, 127).astype(np.int8)
    outputs = []
    for image in steps:
        interpreter.set_input(image[np.newaxis], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0)[0].copy())
    return np.array(outputs)


def test_there_are_models() -> None:
    assert MODELS / "digits" / "manifest.toml" in MANIFESTS


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.parent.name)
def test_manifest_describes_the_file_beside_it(path: Path) -> None:
    manifest = tomllib.loads(path.read_text())
    blob = (path.parent / manifest["file"]).read_bytes()
    assert manifest["sha256"] == hashlib.sha256(blob).hexdigest()
    assert manifest["bytes"] == len(blob)
    assert manifest["licence"] and manifest["data"]["licence"] and manifest["origin"]["recipe"]


def test_digits_accuracy_is_exactly_the_manifest_s(recipe: Any) -> None:
    manifest = tomllib.loads((MODELS / "digits" / "manifest.toml").read_text())
    expected = manifest["expected"]
    images, labels = recipe("data").held_out()
    outputs = run((MODELS / "digits" / manifest["file"]).read_bytes(), images)
    right = int((outputs.argmax(axis=1) == labels).sum())
    assert (len(labels), right) == (expected["held_out"], expected["correct"])
    assert right / len(labels) == expected["accuracy"] >= 0.97


def test_held_out_digits_are_not_among_the_learned_ones(recipe: Any) -> None:
    data = recipe("data")
    held, learned = data.held_out()[0], data.training()[0]
    assert len(held) >= 400 and len(held) + len(learned) == 1797
    assert not {image.tobytes() for image in held} & {image.tobytes() for image in learned}
    assert held.shape[1:] == (8, 8, 1) and held.dtype == np.float32 and 0 <= held.min() < held.max() <= 1


def test_digits_is_int8_and_small() -> None:
    blob = (MODELS / "digits" / "digits.tflite").read_bytes()
    sub = tflite.Model.GetRootAs(blob).Subgraphs(0)
    ends = [sub.Tensors(sub.Inputs(0)), sub.Tensors(sub.Outputs(0))]
    assert [t.Type() for t in ends] == [tflite.TensorType.INT8] * 2
    assert (ends[1].Quantization().Scale(0), ends[1].Quantization().ZeroPoint(0)) == (1 / 256, -128)
    assert len(blob) < 12 * 1024


@pytest.mark.parametrize("kind", ["Conv", "Pointwise", "DepthwiseConv", "Dense", "MaxPool", "Mean"])
def test_backward_is_the_gradient_of_forward(recipe: Any, kind: str) -> None:
    """The slope along random directions, of the input and of each parameter, against a difference quotient."""
    layers, rng = recipe("layers"), np.random.default_rng(5)
    layer = {
        "Conv": lambda: layers.Conv(3, 5, 3, rng),
        "Pointwise": lambda: layers.Conv(3, 5, 1, rng),
        "DepthwiseConv": lambda: layers.DepthwiseConv(3, 3, rng),
        "Dense": lambda: layers.Dense(3, 5, rng),
        "MaxPool": layers.MaxPool,
        "Mean": layers.Mean,
    }[kind]()
    x = rng.normal(0, 1, (2, 3) if kind == "Dense" else (2, 4, 6, 3)).astype(np.float32)
    for p in layer.parameters:  # float64, or rounding hides the slope
        p.value = rng.normal(0, 1, p.value.shape)
    x = x.astype(np.float64)
    weight = rng.normal(0, 1, layer.forward(x).shape)
    at_input = layer.backward(weight)
    step = 1e-6
    for value, gradient in [(x, at_input), *((p.value, p.grad) for p in layer.parameters)]:
        direction = rng.normal(0, 1, value.shape)
        value += step * direction
        above = float((layer.forward(x) * weight).sum())
        value -= 2 * step * direction
        below = float((layer.forward(x) * weight).sum())
        value += step * direction
        assert (above - below) / (2 * step) == pytest.approx(float((gradient * direction).sum()), rel=1e-4, abs=1e-5)


def test_a_quantized_network_computes_what_the_float_one_does(recipe: Any) -> None:
    layers, rng = recipe("layers"), np.random.default_rng(6)
    parts = [layers.Conv(1, 8, 3, rng), layers.MaxPool(), layers.DepthwiseConv(8, 3, rng), layers.Mean()]
    network = layers.Network([*parts, layers.Dense(8, 10, rng)])
    network.layers[0].bias.value[:] = rng.normal(0, 0.2, 8)
    network.layers[-1].weights.value *= 10  # far from uniform, as after training
    images = recipe("data").training()[0][:50]
    logits = network.logits(images)
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    got = (run(save_tflite(recipe("ptq").quantized(network, images)), images).astype(float) + 128) / 256
    assert wanted.max() > 0.5  # or there would be nothing to tell apart
    np.testing.assert_allclose(got, wanted, atol=0.02)
