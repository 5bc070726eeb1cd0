"""A budget for flash is met with the fastest way of building that fits it, or missed by a figure that is true."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import pytest
from typer.testing import CliRunner

from tinsmith import modes, targets
from tinsmith.bench import bench
from tinsmith.budget import Budget, Outcome, search
from tinsmith.cli import app
from tinsmith.errors import BudgetMissed, TargetError
from tinsmith.pipeline import compile_model
from tinsmith.verify import verify

DIGITS = needs.REPOSITORY / "models" / "digits" / "digits.tflite"
TARGET = "cortex-m4"
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}

pytestmark = [pytest.mark.usefixtures("cross_tools"), pytest.mark.slow]


def call(*arguments: object, code: int = 0) -> str:
    """What a command prints; it must end with this exit code."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env=WIDE)
    assert result.exit_code == code, result.output
    return result.output


def answer(*arguments: object, code: int = 0) -> Any:
    """Its one JSON document."""
    return json.loads(call(*arguments, "--json", code=code))


def missed(flash: int, ram: int | None = None, target: str = TARGET) -> Outcome:
    found = search(DIGITS, targets.load(target), Budget(ram, flash))
    assert not found.fits
    return found


@pytest.fixture(scope="module")
def ladder() -> Outcome:
    """All ways, as nothing fits a byte."""
    return missed(1)


def test_the_figure_is_the_one_of_bench(ladder: Outcome) -> None:
    for way in (ladder.tried[0], ladder.tried[-1]):
        cost = bench(way.compiled)
        assert way.sizes is not None
        assert (cost.flash_code_bytes, cost.flash_data_bytes) == (way.sizes.code_bytes, way.sizes.data_bytes)
    smallest = min(bench(compile_model(DIGITS, targets.load(TARGET), optimize=m)).flash_code_bytes for m in modes.MODES)
    assert ladder.best.sizes is not None and ladder.best.sizes.code_bytes <= smallest


def test_ways_give_up_flash_before_speed(ladder: Outcome) -> None:
    """The mode's own way comes first, kernels are lost one op after the other, and no way is tried twice."""
    ways = [(way.special, way.compiled.mode.specialised, way.compiled.mode.flag) for way in ladder.tried]
    first = compile_model(DIGITS, targets.load(TARGET)).mode
    assert ladder.tried[0].compiled.mode == first
    assert [set(a[0]) >= set(b[0]) for a, b in itertools.pairwise(ways)] == [True] * (len(ways) - 1)
    with_rows = [(*way, w.compiled.mode.pixels) for way, w in zip(ways, ladder.tried, strict=True)]
    assert len(set(with_rows)) == len(with_rows) > 6
    assert ways[0][0] and not ways[-1][0]


def test_all_ways_give_the_judge_s_bytes(ladder: Outcome) -> None:
    needs.module("tflite_micro")
    ways = [way.compiled for way in ladder.tried if way.compiled.mode.flag == "-Os" or way is ladder.tried[1]]
    assert len(ways) > 3 and all(verify(compiled, samples=4).passed for compiled in ways)


def test_the_first_that_fits_is_taken(ladder: Outcome) -> None:
    """With each way's own size as the budget, no way before it fits, and the fastest of those that fit is chosen."""
    sizes = [way.flash_bytes for way in ladder.tried]
    for limit in sorted(set(sizes))[::3]:
        found = search(DIGITS, targets.load(TARGET), Budget(flash=limit))
        place = next(k for k, size in enumerate(sizes) if size <= limit)
        assert found.fits and [w.flash_bytes for w in found.tried] == sizes[: place + 1]
        assert found.best.compiled.files == ladder.tried[place].compiled.files


def test_speed_falls_back_to_shared_kernels_and_size_stays_small() -> None:
    speed = search(DIGITS, targets.load(TARGET), Budget(flash=1), optimize="speed").tried
    assert speed[0].compiled.mode == modes.MODES["speed"]
    assert any(way.special and not way.compiled.mode.specialised for way in speed)
    size = search(DIGITS, targets.load(TARGET), Budget(flash=1), optimize="size").tried
    assert size[0].compiled.mode == modes.MODES["size"]
    assert {way.compiled.mode.flag for way in size} == {"-Os"} and not any(way.special for way in size)


@pytest.mark.parametrize("target", ["cortex-m0plus", "rv32imc"])
def test_the_smallest_misses_by_what_is_said(target: str) -> None:
    found = missed(1000, target=target)
    least = min(way.flash_bytes for way in found.tried)
    with pytest.raises(BudgetMissed, match=rf"needs {least:,} bytes of flash, {least - 1000:,} more .* of 1,000;"):
        found.require()
    assert search(DIGITS, targets.load(target), Budget(flash=least)).require().best.flash_bytes == least


def test_both_budgets_hold_together(ladder: Outcome) -> None:
    arena = compile_model(DIGITS, targets.load(TARGET), optimize="ram").plan.arena_bytes
    limits = Budget(arena, ladder.tried[0].flash_bytes - 1000)
    found = search(DIGITS, targets.load(TARGET), limits).require()
    assert limits.ram is not None and limits.flash is not None
    assert found.best.compiled.plan.arena_bytes <= limits.ram and found.best.flash_bytes <= limits.flash


def test_the_error_names_the_budget_that_is_missed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("compile", DIGITS, "--target", TARGET, "--out", out)
    ram = answer(*arguments, "--ram", "100", "--flash", "64K", code=2)
    assert ram["kind"] == "BudgetMissed" and re.search(
        r"bytes of arena, [\d,]+ more than the budget of 100", ram["error"]
    )
    flash = answer(*arguments, "--ram", "3K", "--flash", "4K", code=2)
    assert flash["kind"] == "BudgetMissed"
    assert re.search(
        r"[\d,]+ bytes of flash with an arena of at most 3,072, [\d,]+ more than the budget of 4,096", flash["error"]
    )
    assert not out.exists()


def test_commands_say_what_was_chosen_and_what_it_takes(ladder: Outcome, tmp_path: Path) -> None:
    limit = ladder.tried[0].flash_bytes - 1
    options = (DIGITS, "--target", TARGET, "--flash", limit)
    document = answer("compile", *options, "--out", tmp_path)
    chosen = document["budget"]["chosen"]
    assert document["budget"]["fits"] and len(document["budget"]["tried"]) > 1
    assert chosen["flash_code_bytes"] + chosen["flash_data_bytes"] <= limit
    assert json.loads((tmp_path / "digits.json").read_text())["flag"] == chosen["flag"]
    text = call("compile", *options, "--out", tmp_path)
    left = limit - chosen["flash_code_bytes"] - chosen["flash_data_bytes"]
    assert f"{left:,} of {limit:,} bytes left" in text and f"compile it with {chosen['flag']}" in text

    (cost,) = answer("bench", *options)
    assert (cost["flash_code_bytes"], cost["flash_data_bytes"]) == (
        chosen["flash_code_bytes"],
        chosen["flash_data_bytes"],
    )
    assert cost["instructions_without_flash_budget"] == bench(ladder.tried[0].compiled).instructions
    assert "times the" in call("bench", *options)
    assert Path(answer("build", *options, "--out", tmp_path)["output"]).exists()


def test_plan_shows_the_smallest_and_ends_with_2(ladder: Outcome) -> None:
    document = answer("plan", DIGITS, "--target", TARGET, "--flash", "4K", code=2)
    assert not document["fits"] and not document["budget"]["fits"]
    found = document["budget"]["chosen"]
    assert found["flash_code_bytes"] + found["flash_data_bytes"] == ladder.best.flash_bytes
    assert document["arena_bytes"] == ladder.best.compiled.plan.arena_bytes
    over = ladder.best.flash_bytes - 4096
    assert f"{over:,} more than 4 KiB" in call("plan", DIGITS, "--target", TARGET, "--flash", "4K", code=2)
    assert answer("plan", DIGITS, "--target", TARGET, "--flash", "1M")["fits"]


def test_without_the_compiler_one_error_says_what_to_install(tmp_path: Path) -> None:
    target = replace(targets.load(TARGET), toolchain="nowhere-")
    with pytest.raises(TargetError, match="needs nowhere-gcc, .*apt-get install gcc-arm-none-eabi"):
        search(DIGITS, target, Budget(flash=65536))
    # Without a budget, nobody asks for it.
    command = [sys.executable, "-m", "tinsmith", "compile", DIGITS, "--target", TARGET, "--out", tmp_path / "out"]
    env = {"PATH": str(tmp_path), "PYTHONPATH": str(needs.REPOSITORY / "tools")}
    assert shutil.which("arm-none-eabi-gcc", path=env["PATH"]) is None
    for options, code, words in (([], 0, ""), (["--flash", "64K"], 1, "apt-get install gcc-arm-none-eabi")):
        done = subprocess.run([*map(str, command), *options], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code and words in done.stderr, done.stderr
        assert (tmp_path / "out").exists() == (code == 0)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


def test_sizes_that_are_none_and_targets_without_firmware_are_refused(tmp_path: Path) -> None:
    for options, words in (
        (["--target", TARGET, "--flash", "much"], "'much' is no size of memory"),
        (["--target", TARGET, "--flash", "0"], "'0' is no size of memory"),
        (["--flash", "64K"], "host has none"),
    ):
        document = answer("compile", DIGITS, "--out", tmp_path / "out", *options, code=1)
        assert words in document["error"] and not (tmp_path / "out").exists()
