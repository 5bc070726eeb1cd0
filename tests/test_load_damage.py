"""Damage in a file is answered with one sentence that names the thing, the rule and the value."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import tflite
from small_models import dense, graph, node, tensor
from surgery import File, behind

from tinsmith.errors import ModelError
from tinsmith.graph import Graph
from tinsmith.load.tflite import load_file, load_tflite
from tinsmith.save.tflite import save_tflite


def of_tensor(name: str, field: int, index: int, format: str, value: float) -> Callable[[File], File]:
    return lambda f: f.set_element(f.tensor(name), field, index, format, value)


def of_scale(name: str, field: int, index: int, format: str, value: float) -> Callable[[File], File]:
    return lambda f: f.set_element(f.tensor(name).Quantization(), field, index, format, value)


def of_operator(field: int, index: int, value: int) -> Callable[[File], File]:
    return lambda f: f.set_element(f.operator(0), field, index, "<i", value)


def of_graph(field: int, index: int, format: str, value: int) -> Callable[[File], File]:
    return lambda f: f.set_element(f.model.Subgraphs(0), field, index, format, value)


Damage = Callable[[File], File]

#: What is done to a FULLY_CONNECTED layer of three scales, and what the message must say.
DAMAGE: dict[str, tuple[Damage, str]] = {
    "identifier": (
        lambda f: File(b"\0\0\0\0TFL2" + bytes(f)[8:]),
        "has the identifier 'TFL3' at byte 4, this one has b'TFL2'",
    ),
    "length": (lambda f: File(bytes(f)[:9]), "at least 16 bytes, this one has 9"),
    "schema": (lambda f: f.set(f.model, 0, "<I", 4), "schema must be version 3; found 4"),
    "no subgraph": (lambda f: f.set_element(f.model, 2, -1, "<I", 0), "at least one subgraph, this one has none"),
    "rank": (of_tensor("x", 0, -1, "<I", 9), "tensor 'x' must have at most 8 dimensions; found 9"),
    "vector": (of_tensor("x", 0, -1, "<I", 10**6), "tensor 0, 'x', must lie within its [0-9]+ bytes"),
    "negative size": (of_tensor("x", 0, 0, "<i", -2), r"'x' must have sizes of 0 or more.*found \[-2, 5\]"),
    "huge": (of_tensor("x", 0, 0, "<i", 2**30), r"less than 2\^31 elements in all; found \[1073741824, 5\]"),
    "no buffer": (lambda f: f.set(f.tensor("w"), 2, "<I", 99), "'w' must name one of 3 buffers; found 99"),
    "another's buffer": (
        lambda f: f.set(f.tensor("w"), 2, "<I", 2),
        r"tensor 'w' must have 15 bytes of data as int8 \[3, 5\]; found 12",
    ),
    "scales": (
        of_scale("w", 2, -1, "<I", 2),
        r"'w' must have one scale, or one for each .*; found 2 along dimension 0 of shape \[3, 5\]",
    ),
    "zero points": (of_scale("w", 3, -1, "<I", 2), "'w' must have no zero point.* found 2 for 3 scales"),
    "reference": (
        of_operator(1, 0, 4),
        r"operator 0 \(FULLY_CONNECTED\) must be one of 4 tensors; found number 4",
    ),
    "no output": (of_operator(2, 0, -1), r"operator 0 \(FULLY_CONNECTED\) must have outputs.* found \[None\]"),
    "unwritten": (of_operator(1, 0, 3), r"node 'y' \(FULLY_CONNECTED\) reads 'y' before anything writes it"),
    "rewritten": (of_operator(2, 0, 0), r"node 'x' \(FULLY_CONNECTED\) writes 'x' a second time"),
    "input": (of_graph(1, 0, "<i", 8), "an input of the model must be one of 4 tensors; found number 8"),
    "constant input": (
        of_graph(1, 0, "<i", 1),
        "'w' must be a tensor that the caller alone fills; it is a constant",
    ),
    "no input": (of_graph(1, 0, "<i", -1), "must have at least one input .*; found 0 present of 1"),
    "foreign options": (
        lambda f: f.set(f.operator(0), 3, "<B", tflite.BuiltinOptions.PadOptions),
        r"node 'y' \(FULLY_CONNECTED\) must have options of its own; found PadOptions",
    ),
    "no options": (
        lambda f: f.set(f.operator(0), 3, "<B", 0),
        r"node 'y' \(FULLY_CONNECTED\) must have options; found none",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_with_its_rule_and_value(kind: str) -> None:
    damage, message = DAMAGE[kind]
    intact = save_tflite(dense(3))
    load_tflite(intact, "m")
    with pytest.raises(ModelError) as caught:
        load_tflite(bytes(damage(File(intact))), "some.tflite")
    assert re.search(message, str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("some.tflite: ") and "\n" not in str(caught.value)


def test_a_code_that_does_not_exist_is_named() -> None:
    tensors = [tensor(n, 1) for n in "xay"]
    file = File(save_tflite(graph(tensors, node("RELU", "x", "a"), node("RELU6", "a", "y"))))
    with pytest.raises(ModelError, match="operator 1 must have one of 2 operator codes; found number 7"):
        load_tflite(bytes(file.set(file.operator(1), 0, "<I", 7)), "m")


def test_every_truncation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flatbuffers are written from the end, so no byte of these files can be missed."""
    for data in (save_tflite(dense()), behind(dense(), monkeypatch)):
        used = len(data.rstrip(b"\0"))
        for length in range(used):
            with pytest.raises(ModelError, match="truncated|at least 16 bytes|must end within|must"):
                load_tflite(data[:length], "m")


def test_a_constant_behind_the_flatbuffer_must_end_within_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = behind(dense(), monkeypatch)
    with pytest.raises(ModelError, match=rf"buffer 2 must end within the {len(data) - 1} bytes .* found {len(data)}"):
        load_tflite(data[:-1], "m")


def test_small_files_that_look_endless_are_refused() -> None:
    """Two thousand tensors that share a name of 40 kB: 80 MB to read in a file of 100 kB."""
    tensors = {f"t{i}": tensor(f"t{i}", 1, scales=0) for i in range(2000)}
    long = "n" * 40_000
    file = File(save_tflite(Graph("main", {long: tensor(long, 1), **tensors}, (), (long,), (long,))))
    first = file.model.Subgraphs(0).Tensors(0)
    start = file.place(first, 3)
    target = start + struct.unpack_from("<I", file.data, start)[0]
    for i in range(1, 2001):
        place = file.place(file.model.Subgraphs(0).Tensors(i), 3)
        struct.pack_into("<i", file.data, place, target - place)
    with pytest.raises(ModelError, match="hold far more than its"):
        load_tflite(bytes(file), "m")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.tflite: cannot read the model: No such file"):
        load_file(tmp_path / "none.tflite")
