"""The importer reads what converters really write, and lists at once all that cannot be compiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from small_models import SCALE, dense, graph, node, relu, reshape, tensor
from surgery import File, behind, extra

from tinsmith.check import findings, require_supported
from tinsmith.errors import Unsupported
from tinsmith.graph import Graph, Quant
from tinsmith.interpret import interpret
from tinsmith.load.tflite import load_file, load_tflite
from tinsmith.passes import lower
from tinsmith.plan import plan
from tinsmith.save.tflite import save_tflite


def runs(model: Graph) -> None:
    """Whether a model goes all the way to a plan."""
    plan(lower(model))


# -- what converters write ------------------------------------------------------------------------------------


def test_sizes_are_those_of_the_file_whatever_the_signature_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def signature(b: flatbuffers.Builder) -> dict[str, Any]:
        return {"shape_signature": b.CreateNumpyVector(np.array([-1, 3], "<i4"))}

    with extra(monkeypatch, "Tensor", signature):
        data = save_tflite(relu())
    signed = File(data).tensor("x").ShapeSignatureAsNumpy()
    assert list(signed) == [-1, 3]
    assert load_tflite(data, "m")["x"].shape == (2, 3)


def test_a_batch_left_open_in_the_shape_itself_is_one() -> None:
    file = File(save_tflite(relu()))
    for name in "xy":
        file.set_element(file.tensor(name), 0, 0, "<i", -1)
    model = load_tflite(bytes(file), "m")
    assert model["x"].shape == model["y"].shape == (1, 3)
    runs(model)


@pytest.mark.parametrize("attrs", [True, False])
def test_reshape_needs_no_options(attrs: bool) -> None:
    model = load_tflite(save_tflite(reshape(attrs)), "m")
    assert model.nodes[0].attrs.new_shape == ((6, 2) if attrs else ())
    assert model["y"].shape == (6, 2)
    runs(model)


@pytest.mark.parametrize("old, new", [(19, 0), (0, 19), (19, 19), (127, 150)])
def test_the_larger_operator_code_counts(old: int, new: int) -> None:
    """Old files fill only the deprecated field, and codes above 127 only the new one."""
    file = File(save_tflite(relu()))
    code = file.model.OperatorCodes(0)
    file.set(code, 0, "<b", old).set(code, 3, "<i", new)
    assert load_tflite(bytes(file), "m").nodes[0].op == {19: "RELU", 150: "GELU"}[max(old, new)]


def test_constants_behind_the_flatbuffer_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = (load_tflite(data, "m") for data in (save_tflite(dense()), behind(dense(), monkeypatch)))
    for name in "wb":
        expected, found = inside[name].data, outside[name].data
        assert expected is not None and found is not None
        assert found.dtype == expected.dtype and (found == expected).all()
    x = np.array([[1, -2, 3, 100, -128]], np.int8)
    assert (interpret(inside, [x])["y"] == interpret(outside, [x])["y"]).all()


@pytest.mark.parametrize("scales", [1, 3])
def test_weights_have_one_scale_or_one_a_channel(scales: int) -> None:
    model = load_tflite(save_tflite(dense(scales)), "m")
    quant = model["w"].quant
    assert quant == Quant((SCALE,) * scales, (0,) * scales, 0)
    runs(model)


def test_one_zero_point_may_stand_for_all_channels() -> None:
    file = File(save_tflite(dense(3)))
    file.set_element(file.tensor("w").Quantization(), 3, -1, "<I", 1)
    quant = load_tflite(bytes(file), "m")["w"].quant
    assert quant is not None and quant.zero_point == (0, 0, 0)


@pytest.mark.parametrize("outer", [np.float32, np.uint8])
def test_ends_may_be_float_or_uint8(outer: Any) -> None:
    scales = int(outer == np.uint8)
    back = node("QUANTIZE" if scales else "DEQUANTIZE", "r", "y")
    tensors = [tensor(n, 1, 4, dtype=outer, scales=scales) for n in "xy"] + [tensor("q", 1, 4), tensor("r", 1, 4)]
    model = load_tflite(save_tflite(graph(tensors, node("QUANTIZE", "x", "q"), node("RELU", "q", "r"), back)), "m")
    assert {model["x"].dtype, model["y"].dtype} == {np.dtype(outer)}
    runs(model)


def test_scales_of_float_tensors_mean_nothing() -> None:
    model = relu(np.float32)
    strange = replace(model["x"], quant=Quant((0.5,), (0,)))
    assert load_tflite(save_tflite(replace(model, tensors={**model.tensors, "x": strange})), "m")["x"].quant is None


def test_names_are_unique_and_never_empty() -> None:
    tensors = {n: tensor(n, 1) for n in ("first", "other", "again", "other#2")}
    data = save_tflite(Graph("main", tensors, (), ("first",), ("first",)))
    data = data.replace(b"\x05\0\0\0first", b"\0\0\0\0\0irst").replace(b"again", b"other")
    assert list(load_tflite(data, "m").tensors) == ["tensor#0", "other", "other#2", "other#2#3"]


# -- what is valid but cannot be compiled ---------------------------------------------------------------------


def test_everything_unsupported_is_listed_at_once() -> None:
    tensors = [tensor("x", 1, 4, dtype=np.float32, scales=0), tensor("a", 1, 4), tensor("b", 1, 4)]
    tensors += [tensor("c", 1, 4), tensor("y", 1, 4, dtype=np.int16)]
    nodes = (node("QUANTIZE", "x", "a"), node("GELU", "a", "b"), node("RELU", "b", "c", 99), node("RELU", "c", "y", 2))
    model = load_tflite(save_tflite(graph(tensors, *nodes)), "m")
    with pytest.raises(Unsupported) as caught:
        require_supported(model)
    first, *lines = str(caught.value).splitlines()
    assert first == "m: 3 things cannot be compiled (4 nodes in all):"
    assert "node 'b' (GELU version 1): There is no such op in Tinsmith. Replace it by supported ops" in lines[0]
    assert "node 'c' (RELU version 99): Known up to version 3. Export the model with an older converter." in lines[1]
    assert "node 'y' (RELU version 2): " in lines[2] and "Found: 'y' is int16." in lines[2]
    assert lines[2].endswith("quantize activations to int8.")


@pytest.mark.parametrize("change, message", [
    ({"dtype": np.dtype(np.int64), "quant": None}, "must be int8, uint8, int16, int32, float32. Found: int64."),
    ({"shape": (1,) * 7}, r"must have at most 6 dimensions and not be empty. Found: [1, 1, 1, 1, 1, 1, 1]."),
    ({"quant": Quant((float("nan"),), (0,))}, "must have one positive scale, and a zero point in their range. Found: "
     "'x' has scale nan."),
    ({"quant": Quant((SCALE,), (300,))}, "Found: 'x' has zero point 300."),
])  # fmt: skip
def test_inputs_that_no_firmware_can_fill_are_named(change: dict[str, Any], message: str) -> None:
    x = replace(tensor("x", 1), **change)
    y = replace(x, name="y", shape=(1, 1))
    model = load_tflite(save_tflite(graph([x, y], node("RESHAPE", "x", "y", new_shape=(1, 1)))), "m")
    assert "input 'x': " in str(findings(model)[0]) and message in str(findings(model)[0])


# -- the public models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, nodes", [
    ("mlperf_tiny/ad01_int8", 10), ("mlperf_tiny/kws_int8", 13), ("mlperf_tiny/resnet8_int8", 16),
    ("mlperf_tiny/vww96_int8", 31), ("tflm/hello_world_int8", 3), ("tflm/micro_speech_quantized", 4),
    ("tflm/person_detect", 31),
])  # fmt: skip
def test_public_int8_models_are_supported(zoo: Path, name: str, nodes: int) -> None:
    model = load_file(zoo / f"{name}.tflite")
    assert len(model.nodes) == nodes
    lower(model)


def test_state_and_unknown_ops_are_named_in_a_recurrent_model(zoo: Path) -> None:
    model = load_file(zoo / "tflm" / "trained_lstm_int8.tflite")
    assert any(t.type_name == "variable" for t in model.tensors.values())
    assert [f.op for f in findings(model)] == ["UNIDIRECTIONAL_SEQUENCE_LSTM"]


def test_custom_ops_are_named(zoo: Path) -> None:
    found = findings(load_file(zoo / "tflm" / "audio_preprocessor_int8.tflite"))
    custom = [f for f in found if f.op == "CUSTOM:SignalFftAutoScale"]
    assert custom and custom[0].help == "Custom ops run outside the model: cut the model before it."
