"""Hostile models end in one error message; and the fuzzer that says so notices every kind of bug."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import pytest
from fuzz import campaign, importer, judge, worker
from fuzz.corpus import Seed, corpus
from fuzz.mutate import Mutator

from tinsmith import emit
from tinsmith.graph import Graph
from tinsmith.load import tflite
from tinsmith.plan import Plan

RUNS = 12_000
Load = Callable[[bytes, str], Graph]


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    """Only those that are always there, so that every machine tries the same inputs."""
    return [s for s in corpus() if s.weight == 1.0]


def options(runs: int, execute_every: int = 0) -> campaign.Options:
    return campaign.Options(runs, 300, campaign=7, workers=2, execute_every=execute_every)


@pytest.mark.slow
def test_hostile_models_end_in_an_error_message_or_in_c_that_computes_what_it_should(seeds: list[Seed]) -> None:
    needs.programs("gcc")
    report = campaign.run(seeds, options(RUNS, execute_every=25))
    assert not report.findings, [f"{f.key}: {f.message}" for f in report.findings.values()]
    assert report.inputs == RUNS
    assert min(report.counts[kind] for kind in (judge.REFUSED, judge.UNSUPPORTED, judge.COMPILED)) > RUNS // 50
    assert report.counts["executed"] >= 30


def test_an_input_is_known_by_its_number(seeds: list[Seed]) -> None:
    again = Mutator(corpus()[: len(seeds)], 7)
    mutator = Mutator(seeds, 7)
    inputs = [mutator.input(i) for i in range(300)]
    assert [again.input(i) for i in reversed(range(300))] == inputs[::-1]
    assert len(set(inputs)) > 290
    assert Mutator(seeds, 8).input(0) != inputs[0]


# -- planted bugs ---------------------------------------------------------------------------------------------


def plant(monkeypatch: pytest.MonkeyPatch, bug: Callable[[bytes], Any], once_in: int = 10) -> None:
    """Lets the loader run `bug` before it reads one input in so many, chosen by their bytes."""
    real: Load = tflite.load_tflite

    def load(data: bytes, name: str) -> Graph:
        if sum(data) % once_in == 0:
            bug(data)
        return real(data, name)

    monkeypatch.setattr(tflite, "load_tflite", load)


def missing_key(data: bytes) -> None:
    raise KeyError("planted")


def endless(data: bytes) -> None:
    while True:
        pass


def too_much(data: bytes) -> None:
    bytearray(2 * worker.MEMORY)


def killed(data: bytes) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("bug, kind, where", [
    (missing_key, "exception", "KeyError in "),
    (endless, "time", "more than 0.5 s"),
    (too_much, "exception", "MemoryError in "),
    (killed, "crash", "exit code -9"),
])  # fmt: skip
def test_a_bug_of_the_loader_is_found(
    monkeypatch: pytest.MonkeyPatch, seeds: list[Seed], bug: Callable[[bytes], Any], kind: str, where: str
) -> None:
    plant(monkeypatch, bug)
    if kind == "time":
        monkeypatch.setattr(judge, "TIME_LIMIT", 0.5)
    report = campaign.run(seeds, options(60))
    (found,) = report.findings.values()
    assert found.kind == kind and found.where.startswith(where)
    assert sum(found.data) % 10 == 0 and found.data == Mutator(seeds, 7).input(found.index)
    assert report.inputs == 60  # the others were tried as well


def test_a_worker_that_no_alarm_reaches_is_ended(monkeypatch: pytest.MonkeyPatch, seeds: list[Seed]) -> None:
    def deaf(data: bytes) -> None:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        while True:
            time.sleep(1)

    plant(monkeypatch, deaf, once_in=20)
    monkeypatch.setattr(campaign, "STUCK_SECONDS", 3.0)
    report = campaign.run(seeds, options(60))
    assert set(report.findings) == {("crash", "no answer for 3 s")}


def test_one_byte_beyond_the_arena_is_found(monkeypatch: pytest.MonkeyPatch, seeds: list[Seed]) -> None:
    needs.programs("gcc")
    exact = Plan.arena_bytes.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Plan, "arena_bytes", property(lambda plan: exact(plan) - 1))
    audited = campaign.run(seeds, options(40))
    assert {where for _, where in audited.findings} == {"Overwritten in audit.py:put"}
    monkeypatch.setattr(judge, "audit", lambda plan: None)
    report = campaign.run(seeds, options(100, execute_every=4))
    assert {kind for kind, _ in report.findings} == {"sanitizer"}
    assert any("heap-buffer-overflow" in found.message for found in report.findings.values())


def test_a_wrong_output_is_found(monkeypatch: pytest.MonkeyPatch, seeds: list[Seed]) -> None:
    needs.programs("gcc")
    real = emit.linked

    def wrong(plan: Plan, name: str) -> dict[str, str]:
        return {file: text.replace(".high = 127,", ".high = 126,") for file, text in real(plan, name).items()}

    monkeypatch.setattr(emit, "linked", wrong)
    report = campaign.run(seeds, options(200, execute_every=2))
    assert {kind for kind, _ in report.findings} == {"difference"}


# -- the command ----------------------------------------------------------------------------------------------


def test_findings_are_saved_and_minimised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def at_version(data: bytes) -> None:
        if data[4:8] == b"TFL3" and data[0] % 2:
            raise LookupError("planted")

    plant(monkeypatch, at_version, once_in=1)
    command = ["--runs", "600", "--workers", "2", "--execute-every", "0", "--seed", "3", "--minimise", "--json"]
    assert importer.main([*command, "--findings", str(tmp_path)]) == 1
    (found,) = (f for f in json.loads(capsys.readouterr().out)["findings"] if f["where"].startswith("LookupError"))
    data = Path(found["file"]).read_bytes()
    seed = next(s.data for s in corpus() if s.name == found["seed"])
    differing = [i for i in range(min(len(data), len(seed))) if data[i] != seed[i]]
    assert differing == [0]
    text = Path(found["file"]).with_suffix(".txt").read_text()
    assert "LookupError" in text and f"0: {seed[0]:#04x} -> {data[0]:#04x}" in text


def test_nothing_found_is_success(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--runs", "50", "--workers", "1", "--execute-every", "0", "--findings", str(tmp_path / "none")]
    assert importer.main(command) == 0
    assert "50 inputs in" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
