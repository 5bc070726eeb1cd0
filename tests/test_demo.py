"""`make demo` tells the truth: its figures are the manifest's, and a difference fails it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields, replace
from typing import Any

import needs
import numpy as np
import pytest

from tinsmith import demo
from tinsmith.bench import Cost

# What is shown of the costs does not matter here; whatever figures there are, they are ones.
FIGURES: dict[str, Any] = {field.name: 1 for field in fields(Cost)}
COST = Cost(**{**FIGURES, "model": "digits", "target": "cortex-m4", "layers": ()})


def result() -> demo.Result:
    """Ten digits of which the first nine are recognized; the last one is taken for a nine."""
    outputs = np.zeros((10, 10), np.int8)
    labels = np.arange(10)
    outputs[labels, np.minimum(labels + 1, 9)] = 1
    place = demo.Place("here", outputs, 9)
    images = np.linspace(0, 1, 640, dtype=np.float32).reshape(10, 8, 8, 1)
    return demo.Result(images, np.minimum(labels + 1, 9), place, place, place, COST)


@pytest.mark.slow
def test_the_demo_reaches_the_manifest_s_accuracy_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    needs.programs("gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    needs.module("sklearn")
    needs.module("tflite_micro")
    assert demo.main(["--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    expected = tomllib.loads((demo.RECIPE / "manifest.toml").read_text())["expected"]
    assert [p["name"] for p in shown["places"]] == ["this computer", "emulated cortex-m4", "TensorFlow Lite Micro"]
    for place in shown["places"]:
        assert (shown["digits"], place["correct"]) == (expected["held_out"], expected["correct"])
        assert place["bytes_unlike_host"] == 0
    assert shown["cost"]["instructions"] > shown["cost"]["macs"] > 0


@pytest.mark.parametrize("culprit", ["device", "reference"])
def test_one_differing_byte_fails_the_demo(
    culprit: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = result()
    monkeypatch.setattr(demo, "demonstrate", lambda step: good)
    assert demo.main([]) == 0
    outputs = good.host.outputs.copy()
    outputs[4, 2] += 1
    there = demo.Place("there", outputs, 9)
    bad = replace(good, device=there) if culprit == "device" else replace(good, reference=there)
    monkeypatch.setattr(demo, "demonstrate", lambda step: bad)
    capsys.readouterr()
    assert demo.main([]) == 1
    shown = capsys.readouterr()
    assert "1 of 100" in shown.out and "not the same everywhere" in shown.err


def test_a_wrong_answer_is_among_the_digits_shown() -> None:
    good = result()
    assert len(demo.chosen(good)) == demo.SHOWN
    wrong = replace(good, labels=np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]))
    assert demo.chosen(wrong)[-1] == 9 and len(demo.chosen(wrong)) == demo.SHOWN


def test_pictures_are_as_dark_as_the_digits() -> None:
    image = np.zeros((8, 8, 1), np.float32)
    image[1, 2] = 1
    lines = demo.picture(image).splitlines()
    assert len(lines) == 8 and lines[1] == "    ██" + " " * 10 and not lines[0].strip()
