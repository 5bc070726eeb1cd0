"""Committed figures do not get worse, and everything that is published follows from them."""

from __future__ import annotations

import copy
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import needs
import pytest
from needs import REPOSITORY

from tinsmith import samples, targets
from tinsmith.errors import InputError
from tinsmith.interpret import interpret
from tinsmith.load.tflite import load_file

BENCH = REPOSITORY / "bench"
sys.path.append(str(BENCH))  # a folder of scripts and no package

# Without their types: the scripts are checked on their own.
suite, results, diff, report, sections, peer, peers, pool = (
    importlib.import_module(name)
    for name in ("suite", "results", "diff", "report", "sections", "peer", "peers", "pool")
)


@pytest.fixture(scope="module")
def committed() -> Any:
    return results.load()


@pytest.fixture(scope="module")
def quick() -> Any:
    """What the code costs now, for a few models."""
    needs.zoo()
    needs.programs("arm-none-eabi-gcc", "riscv64-unknown-elf-gcc", "qemu-system-arm", "qemu-system-riscv32", "cc")
    return diff.measured(suite.tasks(suite.QUICK), jobs=2)


@pytest.mark.slow
def test_no_figure_is_worse_than_the_committed_one(committed: Any, quick: Any) -> None:
    lines, good = diff.verdict(committed, quick, diff.versions(quick))
    if any(line.startswith("another tool") for line in lines):
        pytest.skip(lines[0])
    assert good, "\n".join(lines) + "\nif it has to be, `make bench` writes the new figures"


@pytest.mark.slow
def test_cycles_are_estimated_for_each_layer_of_a_cortex_m4(quick: Any) -> None:
    for task, row in quick.items():
        if task.target == "cortex-m4":
            layers = [layer["m4_cycles_estimate"] for layer in row["layers"]]
            assert 0 < sum(layers) <= row["m4_cycles_estimate"]
            assert all(layer["m4_cycles_estimate"] >= layer["instructions"] > 0 for layer in row["layers"])
        else:
            assert row["m4_cycles_estimate"] is None and "layers" not in row


def test_results_hold_every_measurement_and_no_other(committed: Any) -> None:
    assert sorted(diff.committed(committed)) == sorted(suite.tasks())
    assert {program for program in committed["tools"]} >= {"arm-none-eabi-gcc", "qemu-system-arm"}


def test_published_tables_are_those_of_the_results(committed: Any) -> None:
    assert suite.RESULTS.read_text(encoding="utf-8") == results.text(committed)
    assert (BENCH / "results.md").read_text(encoding="utf-8") == sections.page(committed), "run bench/run.py --render"
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert report.with_table(readme, committed) == readme, "run bench/run.py --render"


def test_charts_have_the_same_bytes_each_time(committed: Any) -> None:
    pytest.importorskip("matplotlib")
    charts = importlib.import_module("charts")
    drawn = charts.drawn(committed)
    assert drawn == charts.drawn(committed)
    assert drawn.keys() == {"instructions.svg", "memory.svg"}
    assert not any("dc:date" in svg for svg in drawn.values())
    other = copy.deepcopy(committed)
    other["tinsmith"][0]["instructions"] *= 2
    assert charts.drawn(other) != drawn


def changed(committed: Any, **figures: int) -> Any:
    """The first committed row with figures added to its own, as if measured now."""
    task, row = next(iter(diff.committed(committed).items()))
    return {task: {**row, **{name: row[name] + more for name, more in figures.items()}}}


@pytest.mark.parametrize("metric", ["instructions", "arena_bytes", "scratch_bytes", "stack_bytes", "flash_bytes"])
def test_one_more_of_anything_is_worse(committed: Any, metric: str) -> None:
    lines, good = diff.verdict(committed, changed(committed, **{metric: 1}), committed["tools"])
    assert not good and [line for line in lines if line.startswith("worse:")]
    assert "1 figures changed, 1 for the worse" in lines[-1]


def test_one_less_is_better_but_does_not_make_up_for_one_more(committed: Any) -> None:
    lines, good = diff.verdict(committed, changed(committed, instructions=-1), committed["tools"])
    assert good and lines[0].startswith("better:")
    lines, good = diff.verdict(committed, changed(committed, instructions=-10, flash_bytes=1), committed["tools"])
    assert not good and "2 figures changed, 1 for the worse" in lines[-1]


def test_another_compiler_is_named(committed: Any) -> None:
    tools = {**committed["tools"], "arm-none-eabi-gcc": "arm-none-eabi-gcc 99"}
    lines, good = diff.verdict(committed, changed(committed, instructions=1), tools)
    assert not good
    assert lines[0].startswith("another tool: arm-none-eabi-gcc is 'arm-none-eabi-gcc 99' here")
    assert "cannot be compared" in lines[-2]
    lines, good = diff.verdict(committed, changed(committed), tools)
    assert good and "another tool" in lines[0]


def test_a_committed_figure_that_nothing_measures_any_more_is_noticed(committed: Any) -> None:
    other = copy.deepcopy(committed)
    other["tinsmith"].append({**other["tinsmith"][0], "model": "forgotten"})
    lines, good = diff.verdict(other, changed(committed), committed["tools"])
    assert not good and any(line.startswith("gone: forgotten/") for line in lines)


def test_filters_choose_and_refuse() -> None:
    everything = suite.tasks()
    cores = [name for name in targets.names() if targets.load(name).emulators]
    without_rows = len(suite.MODELS) - len(suite.WITH_ROWS)
    assert len(everything) == (len(suite.MODELS) * len(suite.MODES) - without_rows) * len(cores)
    chosen = suite.tasks(["digits/cortex-m4", "/rv32imc"])
    assert {(task.model, task.target) for task in chosen} == {
        ("digits", "cortex-m4"), *((model, "rv32imc") for model in suite.MODELS),
    }  # fmt: skip
    for wrong in ("nothing", "digits/host", "digits/cortex-m4/warp", "digits/cortex-m4/balanced/x"):
        with pytest.raises(InputError, match=f"--only {wrong} names no measurement; there are models ad01"):
            suite.tasks([wrong])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}'])
def test_files_that_are_no_results_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match="results.json is .*"):
        results.load(tmp_path / "results.json")
    with pytest.raises(InputError, match="cannot be read .*make bench"):
        results.load(tmp_path / "missing.json")


def test_results_are_in_one_order_whatever_the_order_of_measuring(committed: Any) -> None:
    parts = committed["tinsmith"], committed["others"], committed["refused"], committed["tools"], committed["peers"]
    mixed = results.assembled(parts[0][::-1], parts[1][::-1], *parts[2:])
    assert results.text(mixed) == results.text(committed)
    assert json.loads(results.text(mixed)) == committed


def test_parts_that_are_measured_anew_replace_their_rows_alone(committed: Any) -> None:
    part = copy.deepcopy(committed)
    part["tinsmith"] = [{**part["tinsmith"][3], "instructions": 1}]
    merged = results.updated(committed, part)
    assert merged["tinsmith"][3]["instructions"] == 1
    assert [row for i, row in enumerate(merged["tinsmith"]) if i != 3] == [
        row for i, row in enumerate(committed["tinsmith"]) if i != 3
    ]
    part["tools"]["arm-none-eabi-gcc"] = "arm-none-eabi-gcc 99"
    with pytest.raises(InputError, match="arm-none-eabi-gcc: another version made the other results"):
        results.updated(committed, part)


@pytest.mark.slow
def test_a_measurement_that_fails_is_named() -> None:
    with pytest.raises(pool.Failed, match="kws_int8/host/balanced: host has no emulator"):
        pool.run([suite.Task("kws_int8", "host", "balanced")], jobs=1, quiet=True)


# As others write C: with warnings, in a file that needs another of its own.
THEIRS = """
#include "table.h"
static int unused;
int add_table(const signed char *in, signed char *out, unsigned char *work) {
    for (int i = 0; i < 4; i++) { work[i] = in[i] + table[i]; out[i] = work[i]; }
    return ((unsigned long)work & 15) != 0;
}
"""


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imc"])
def test_other_people_s_c_is_built_run_and_counted(target: str, tmp_path: Path) -> None:
    needs.programs(f"{targets.load(target).toolchain}gcc", *(e.command[0] for e in targets.load(target).emulators))
    (tmp_path / "theirs.c").write_text(THEIRS)
    (tmp_path / "theirs.h").write_text("int add_table(const signed char *, signed char *, unsigned char *);\n")
    (tmp_path / "table.h").write_text("const signed char table[4] = {1, 2, 3, 4};\nstatic int buffer[25];\n")
    (tmp_path / "empty.c").write_text("\n")
    generated = peer.Generated(
        sources=(tmp_path / "theirs.c", tmp_path / "empty.c"), include_dirs=(tmp_path,), headers=("theirs.h",),
        call="if (add_table((const signed char *)in, (signed char *)out, work)) return TIN_ERR_ALIGNMENT;",
        entry="add_table", input_bytes=4, output_bytes=4, work_bytes=4,
    )  # fmt: skip
    cost = peer.measure(generated, target, [bytes(4), bytes([10, 20, 30, 40])])
    assert cost.outputs == (bytes([1, 2, 3, 4]), bytes([11, 22, 33, 44]))
    assert cost.ram_bytes == 12  # the buffer that nothing uses is not in the firmware
    assert cost.flash_data_bytes == 4 and 10 < cost.flash_code_bytes < 200
    assert 4 * 4 < cost.instructions < 120
    assert cost.stack_bytes is not None and cost.stack_bytes < 32


def test_the_file_for_bakenn_computes_the_same(zoo: Path, tmp_path: Path) -> None:
    bakenn = importlib.import_module("peer_bakenn")
    model = zoo / "mlperf_tiny" / "kws_int8.tflite"
    (tmp_path / "adapted.tflite").write_bytes(bakenn.adapted(model))
    ours, theirs = load_file(model), load_file(tmp_path / "adapted.tflite")
    inputs = [samples.fixed(ours[name]) for name in ours.inputs]
    logits = ours.nodes[-1].inputs[0]
    assert ours.nodes[-1].op == "SOFTMAX" and logits is not None
    expected, found = interpret(ours, inputs)[logits], interpret(theirs, inputs)[theirs.outputs[0]]
    assert (expected == found).all() and len(theirs.nodes) == len(ours.nodes) - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant", "outputs"), [("bakenn", "cmsis_nn", "equal"), ("emlearn", "float32", "close")]
)
def test_peers_compute_what_they_should(
    name: str, variant: str, outputs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.zoo()
    pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    row = peers.measure(peers.PeerTask(name, "hello_world_int8", "cortex-m4", variant))
    assert row["outputs"] == outputs and row["instructions"] > 1000
    assert not list(tmp_path.iterdir()), "something was left behind"


def test_what_peers_refuse_is_told_in_their_words(committed: Any) -> None:
    for row in committed["refused"]:
        assert row["peer"] in peers.MODULES and row["model"] in suite.MODELS and len(row["reason"]) > 10
    measured = {(row["peer"], row["model"]) for row in committed["others"]}
    refused = {(row["peer"], row["model"]) for row in committed["refused"]}
    for name in committed["peers"]:
        assert {model for p, model in measured | refused if p == name} == set(suite.MODELS)


def test_constants_of_tflm_are_complete() -> None:
    tflm = peers.stated()["tflm"]
    assert tflm["models"].keys() == suite.MODELS.keys() - {"digits"}
    for name, figures in tflm["models"].items():
        assert figures["file_bytes"] > figures["arena_bytes"] / 1000 and figures["setup_instructions"] > 0, name
        assert figures["cmsis_nn"]["cortex-m4"] < figures["reference"]["cortex-m4"], name
    assert tflm["commit"] and tflm["compiler"] and tflm["emulator"]
