"""The commands do what their help says, and bad input ends in one clear message and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from typer.testing import CliRunner

from tinsmith import judge, targets
from tinsmith.cli import app
from tinsmith.pipeline import build_model, compile_model
from tinsmith.verify import verify

DIGITS = needs.REPOSITORY / "models" / "digits" / "digits.tflite"
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


def call(*arguments: object, code: int = 0) -> str:
    """What a command prints to standard output; it must end with this exit code."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env=WIDE)
    assert result.exit_code == code, result.output
    return result.output


def answer(*arguments: object, code: int = 0) -> Any:
    """The command's one JSON document."""
    result = subprocess.run(
        [sys.executable, "-m", "tinsmith", *map(str, arguments), "--json"], capture_output=True, text=True, check=False
    )
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Three samples of the digit model's input, as floats of the images' own range."""
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(1).uniform(0, 1, (3, 8, 8, 1)).astype(np.float32))
    return path


@pytest.mark.parametrize("command", ["inspect", "compile", "build", "run", "verify", "bench"])
def test_help_says_what_a_command_is_for(command: str) -> None:
    text = call(command, "--help")
    assert "Usage" in text and "--json" in text and len(text.splitlines()) > 8


def test_version_is_printed() -> None:
    assert call("--version").startswith("tinsmith ")


def test_inspect_shows_layers_costs_and_fits() -> None:
    text = call("inspect", DIGITS)
    for word in ("CONV_2D", "DEPTHWISE_CONV_2D", "SOFTMAX", "MACs", "arena", "fits", "cortex-m0plus"):
        assert word in text
    document = answer("inspect", DIGITS)
    assert document["unsupported"] == [] and document["macs"] == sum(entry["macs"] or 0 for entry in document["layers"])
    assert document["file_bytes"] == DIGITS.stat().st_size


def test_compile_writes_the_same_files_every_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        document = answer("compile", DIGITS, "--target", "cortex-m4", "--out", tmp_path / folder)
        assert [Path(f).name for f in document["files"]] == ["digits.h", "digits.c", "digits.json"]
    assert all((tmp_path / "a" / f.name).read_bytes() == f.read_bytes() for f in (tmp_path / "b").iterdir())
    plan = json.loads((tmp_path / "a" / "digits.json").read_text())
    header = (tmp_path / "a" / "digits.h").read_text()
    assert f"#define DIGITS_ARENA_BYTES {plan['arena_bytes']}\n" in header


def test_compile_dumps_every_stage(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compile", str(DIGITS), "--out", str(tmp_path), "--dump"], env=WIDE)
    for stage in ("load", "fold_constants", "fuse_activation", "fold_input_offset", "plan"):
        assert f"-- {stage}: " in result.output


def test_name_prefixes_everything(tmp_path: Path) -> None:
    call("compile", DIGITS, "--out", tmp_path, "--name", "My Model 3")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["my_model_3.c", "my_model_3.h", "my_model_3.json"]
    assert "digits_" not in (tmp_path / "my_model_3.h").read_text()


def test_run_gives_the_judge_s_bytes(digits: Path, tmp_path: Path) -> None:
    document = answer("run", DIGITS, "--input", digits, "--output", tmp_path / "y.npy")
    saved = np.load(tmp_path / "y.npy")
    assert saved.dtype == np.int8 and saved.shape == (3, 10)
    assert document["outputs"][0]["values"] == saved.tolist() and document["samples"] == 3
    source = compile_model(DIGITS, targets.load("host")).source
    x = source[source.inputs[0]]
    quantized = np.clip(np.rint(np.load(digits) / x.scale) + x.zero_point, -128, 127).astype(np.int8)
    official = judge.Judge(DIGITS.read_bytes(), source)
    assert [official.run([sample[None]])[0].tolist()[0] for sample in quantized] == saved.tolist()


def test_build_makes_a_library_that_loads(tmp_path: Path) -> None:
    import ctypes

    document = answer("build", DIGITS, "--out", tmp_path)
    assert ctypes.CDLL(document["output"]).digits_run


BAD_INPUTS = {
    "shape": (np.zeros((3, 9, 8, 1), np.int8), ["[3, 9, 8, 1]", "[1, 8, 8, 1]"]),
    "range": (np.full((1, 8, 8, 1), 2.0), ["2 to 2", "0 to 1"]),
    "integers": (np.full((1, 8, 8, 1), 300), ["300 to 300", "-128 to 127"]),
    "not finite": (np.full((1, 8, 8, 1), np.nan), ["not finite"]),
    "type": (np.zeros((1, 8, 8, 1), bool), ["bool", "int8"]),
    "empty": (np.zeros((0, 8, 8, 1), np.int8), ["no samples"]),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_an_input_that_does_not_fit_is_refused_with_both_sides(case: str, tmp_path: Path) -> None:
    array, words = BAD_INPUTS[case]
    np.save(tmp_path / "x.npy", array)
    document = answer("run", DIGITS, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", code=1)
    assert document["kind"] == "InputError" and all(word in document["error"] for word in words), document
    assert not (tmp_path / "y.npy").exists()


def test_saturate_cuts_off_instead(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((1, 8, 8, 1), 2.0))
    np.save(tmp_path / "one.npy", np.full((1, 8, 8, 1), 127, np.int8))
    cut = answer("run", DIGITS, "--input", tmp_path / "x.npy", "--saturate")
    assert cut["outputs"] == answer("run", DIGITS, "--input", tmp_path / "one.npy")["outputs"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "missing.tflite"], ["missing.tflite", "cannot read"]),
        (["inspect", __file__], ["TFL3"]),
        (["compile", DIGITS, "--out", "/dev/null/x"], ["/dev/null/x"]),
        (["verify", DIGITS, "--target", "vax"], ["'vax'", "cortex-m4"]),
        (["run", DIGITS, "--input", __file__], ["not a readable .npy"]),
        (["run", DIGITS, "--input", "a.npy", "--input", "b.npy"], ["1 inputs", "2 files"]),
        (["bench", DIGITS, "--target", "host"], ["host", "no emulator"]),
    ],
)
def test_errors_are_one_message_and_exit_code_1(arguments: list[object], words: list[str]) -> None:
    document = answer(*arguments, code=1)
    assert set(document) == {"error", "kind"} and all(word in document["error"] for word in words), document


def test_verify_passes_and_says_what_it_compared() -> None:
    document = answer("verify", DIGITS, "--samples", "20")
    assert document["passed"] and document["samples"] == 20 and document["bytes_compared"] == 200


def test_verify_takes_further_samples(digits: Path) -> None:
    assert answer("verify", DIGITS, "--samples", "1", "--input", digits)["samples"] == 4


def test_verify_names_the_first_layer_that_differs() -> None:
    compiled = compile_model(DIGITS, targets.load("host"))
    name = f"{compiled.name}.c"
    first = next(n for n in compiled.nodes if n.op == "DEPTHWISE_CONV_2D")
    node = f"node{compiled.plan.graph.nodes.index(first)}"
    # One more in a zero point of the first depthwise layer's output: everything behind it is wrong as well.
    start = compiled.files[name].index(f"{node} = {{")
    head, tail = compiled.files[name][:start], compiled.files[name][start:]
    value = tail.split(".out_zero = ")[1].split(",")[0]
    broken = head + tail.replace(f".out_zero = {value},", f".out_zero = {int(value) + 1},", 1)
    verdict = verify(replace(compiled, files={**compiled.files, name: broken}), samples=10)
    assert not verdict.passed and verdict.first is not None
    assert (verdict.first.op, verdict.first.layer) == (first.op, first.name)
    assert verdict.first.got == verdict.first.expected + 1


def test_bench_reports_every_figure(tmp_path: Path) -> None:
    needs.programs("arm-none-eabi-gcc", "qemu-system-arm")
    (cost,) = answer("bench", DIGITS, "--target", "cortex-m4")
    keys = "model target instructions macs arena_bytes scratch_bytes stack_bytes flash_code_bytes flash_data_bytes"
    assert {*keys.split(), "layers"} <= set(cost)
    assert sum(layer["instructions"] for layer in cost["layers"]) <= cost["instructions"]
    assert all(cost[key] > 0 for key in ("instructions", "macs", "arena_bytes", "stack_bytes", "flash_code_bytes"))
    assert answer("bench", DIGITS, "--target", "cortex-m4") == [cost]


def test_a_model_that_needs_more_memory_than_a_machine_has_is_refused(tmp_path: Path) -> None:
    needs.programs("arm-none-eabi-gcc")
    compiled = compile_model(DIGITS, targets.load("cortex-m0plus"))
    target = compiled.target
    small = replace(target.emulators[0], ram=replace(target.emulators[0].ram, size=5000))
    with pytest.raises(Exception, match="bytes more RAM"):
        build_model(replace(compiled, target=replace(target, emulators=(small,))), tmp_path)
    assert not list(tmp_path.glob("*.elf"))


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m tinsmith inspect {DIGITS} --json | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, env=os.environ)
    assert "Traceback" not in done.stderr


def test_a_budget_is_met_or_missed_with_exit_code_2(tmp_path: Path) -> None:
    met = answer("compile", DIGITS, "--out", tmp_path / "a", "--ram", "8K")
    assert met["arena_bytes"] <= 8192
    missed = call("compile", DIGITS, "--out", tmp_path / "b", "--ram", "100", code=2)
    assert "more than the budget of 100" in missed
    assert not (tmp_path / "b").exists()
    assert "'lots' is no size of memory" in call("build", DIGITS, "--out", tmp_path / "c", "--ram", "lots", code=1)
