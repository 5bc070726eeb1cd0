"""What the benchmark measures: models, targets and modes; and how one of them is measured.

Everything that decides which figures exist stands here, in lists.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinsmith import modes, targets
from tinsmith.bench import Cost, bench
from tinsmith.errors import InputError
from tinsmith.pipeline import compile_model
from tinsmith.toolchain import compiler

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results.json")
ZOO = Path(os.environ.get("TINSMITH_ZOO") or ROOT.parent / "shared" / "zoo")

MODELS: Mapping[str, Path] = {
    "ad01_int8": ZOO / "mlperf_tiny" / "ad01_int8.tflite",
    "kws_int8": ZOO / "mlperf_tiny" / "kws_int8.tflite",
    "resnet8_int8": ZOO / "mlperf_tiny" / "resnet8_int8.tflite",
    "vww96_int8": ZOO / "mlperf_tiny" / "vww96_int8.tflite",
    "person_detect": ZOO / "tflm" / "person_detect.tflite",
    "micro_speech_quantized": ZOO / "tflm" / "micro_speech_quantized.tflite",
    "hello_world_int8": ZOO / "tflm" / "hello_world_int8.tflite",
    "digits": ROOT / "models" / "digits" / "digits.tflite",
}

# What `bench` is told to optimize for, by the name that results have; charts and the README show the first.
FED = "ram, fed"  # the model takes its input row by row
MODES: Mapping[str, str] = {**{name: name for name in modes.MODES}, FED: "ram"}
MAIN_MODE = next(iter(MODES))

# Models whose inputs have rows: images and spectrograms.
WITH_ROWS = ("kws_int8", "resnet8_int8", "vww96_int8", "person_detect", "micro_speech_quantized", "digits")

# The figures that must not grow, and how people read them.
METRICS: Mapping[str, str] = {
    "instructions": "instructions",
    "arena_bytes": "arena",
    "scratch_bytes": "scratch",
    "stack_bytes": "stack",
    "flash_bytes": "flash",
}

Row = dict[str, Any]


@dataclass(frozen=True, order=True)
class Task:
    """One measurement of the project's own code."""

    model: str
    target: str
    mode: str

    def __str__(self) -> str:
        return f"{self.model}/{self.target}/{self.mode}"


def emulated() -> list[str]:
    """The targets that instructions can be counted on."""
    return [name for name in targets.names() if targets.load(name).emulators]


def tasks(only: Iterable[str] = ()) -> list[Task]:
    """All measurements, or those that a filter names: MODEL, MODEL/TARGET or MODEL/TARGET/MODE, any of them empty.

    Raises InputError for a filter that names nothing.
    """
    everything = [
        Task(m, t, mode) for m in MODELS for t in emulated() for mode in MODES if mode != FED or m in WITH_ROWS
    ]
    filters = list(only)
    if not filters:
        return everything
    chosen: set[Task] = set()
    for pattern in filters:
        found = [task for task in everything if _matches(task, pattern)]
        if not found:
            known = f"models {', '.join(MODELS)}; targets {', '.join(emulated())}; modes {', '.join(MODES)}"
            raise InputError(f"--only {pattern} names no measurement; there are {known}")
        chosen.update(found)
    return [task for task in everything if task in chosen]


def _matches(task: Task, pattern: str) -> bool:
    parts = pattern.split("/")
    own = (task.model, task.target, task.mode)
    return len(parts) <= len(own) and all(not part or part == value for part, value in zip(parts, own, strict=False))


# What tests measure again: a convolutional model on two kinds of cores, and the project's own in every mode.
QUICK = (f"kws_int8/cortex-m4/{MAIN_MODE}", f"kws_int8/rv32imc/{MAIN_MODE}", "digits/cortex-m4")


def measure(task: Task) -> Row:
    """One row of results.json. Raises TinsmithError if the model cannot be compiled, built or run."""
    path, target, optimize = MODELS[task.model], targets.load(task.target), MODES[task.mode]
    return row(task, bench(compile_model(path, target, optimize=optimize, feed_rows=task.mode == FED)))


def row(task: Task, cost: Cost) -> Row:
    """A cost as plain values. Layers are kept where cycles are estimated."""
    values = cost.as_dict()
    layers = values.pop("layers")
    values.update(model=task.model, target=task.target, mode=task.mode)
    values["flash_bytes"] = cost.flash_code_bytes + cost.flash_data_bytes
    if cost.m4_cycles_estimate is not None:
        values["layers"] = layers
    return values


def tool_versions(names: Iterable[str]) -> dict[str, str]:
    """First lines of `--version` of the compilers and emulators of targets, by the program's name."""
    programs: set[str] = set()
    for target in map(targets.load, names):
        programs.add(compiler(target)[0])
        programs.update(emulator.command[0] for emulator in target.emulators)
    return {name: _version(name) for name in sorted(programs)}


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
