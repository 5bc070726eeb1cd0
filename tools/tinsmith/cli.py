"""The command line: one command for each thing one does with a model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from . import __version__, cli_compile, modes, show, show_budget, targets
from .bench import Cost
from .bench import bench as measure
from .budget import Budget, Outcome
from .cli_base import (
    FeedOption,
    FlashOption,
    JsonOption,
    MemoryOption,
    ModelArgument,
    OptimizeOption,
    RamOption,
    TargetOption,
    app,
    command,
    fitting,
    out,
    progress,
    report,
)
from .errors import InputError, TargetError, TinsmithError
from .graph import Array, Tensor
from .runners import runner
from .samples import Sample, from_files
from .verify import verify as compare

__all__ = ["app", "cli_compile", "main"]


InputOption = Annotated[
    list[Path],
    typer.Option(
        "--input", "-i", help=".npy file of one or many samples; once for each input of the model.", show_default=False
    ),
]
SaturateOption = Annotated[bool, typer.Option(help="Cut off floats beyond an input's range instead of refusing them.")]


@command
def run(
    model: ModelArgument,
    inputs: InputOption,
    target: TargetOption = "host",
    output: Annotated[
        list[Path], typer.Option(help=".npy file for the results; once for each output of the model.")
    ] = [],  # noqa: B006
    saturate: SaturateOption = False,
    optimize: OptimizeOption = modes.DEFAULT,
    ram: RamOption = None,
    flash: FlashOption = None,
    memory: MemoryOption = None,
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run inferences on the host or in the target's emulator.

    Float arrays are quantized with the model's own scale; integer arrays pass as they are.
    """
    limits = Budget.of(ram, flash, memory)
    compiled = fitting(model, target, limits, optimize, feed_rows, as_json).require().best.compiled
    graph = compiled.plan.graph
    if output and len(output) != len(graph.outputs):
        raise InputError(f"the model has {len(graph.outputs)} outputs, {len(output)} --output files were given")
    samples = from_files(graph, inputs, saturate)
    with runner(compiled) as device:
        results = device.run(samples)
    stacked = [stack([r[i] for r in results], graph[n]) for i, n in enumerate(graph.outputs)]
    for path, array in zip(output, stacked, strict=False):
        save(path, array)
    value = {
        "model": compiled.name, "target": target, "samples": len(samples),
        "outputs": [{"name": n, "values": a.tolist()} for n, a in zip(graph.outputs, stacked, strict=True)],
    }  # fmt: skip
    report(as_json, value, lambda: show.results(out, compiled, stacked))


def stack(values: list[Array], tensor: Tensor) -> Array:
    """Results of several samples as one array; a leading 1 of the model's shape is its batch."""
    return np.concatenate(values) if tensor.shape[:1] == (1,) else np.stack(values)


def save(path: Path, array: Array) -> None:
    """Writes a .npy file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            np.save(file, array)
        os.replace(part, path)
    except OSError as error:
        raise TinsmithError(f"{path}: cannot write: {error.strerror}") from None


@command
def verify(
    model: ModelArgument,
    target: TargetOption = "host",
    samples: Annotated[
        int, typer.Option(min=1, help="Made-up samples: a fixed pattern, extremes, then random ones.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Of the random samples.")] = 0,
    inputs: Annotated[list[Path], typer.Option("--input", "-i", help="Further samples, as for `run`.")] = [],  # noqa: B006
    optimize: OptimizeOption = modes.DEFAULT,
    ram: RamOption = None,
    flash: FlashOption = None,
    memory: MemoryOption = None,
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare a target with the official TensorFlow Lite Micro runtime, byte for byte.

    Exits with 1 and names the first layer that differs if a single byte does.
    """
    limits = Budget.of(ram, flash, memory)
    compiled = fitting(model, target, limits, optimize, feed_rows, as_json).require().best.compiled
    given: list[Sample] = from_files(compiled.source, inputs) if inputs else []
    with progress(as_json) as bar:
        task = bar.add_task(f"{compiled.name} on {target}", total=None)
        verdict = compare(compiled, samples, seed, given, lambda n, total: bar.update(task, completed=n, total=total))
    report(as_json, verdict.as_dict(), lambda: show.verdict(out, verdict))
    if not verdict.passed:
        raise typer.Exit(1)


@command
def bench(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help=".tflite files.", show_default=False)],
    target: TargetOption = "cortex-m4",
    optimize: OptimizeOption = modes.DEFAULT,
    ram: RamOption = None,
    flash: FlashOption = None,
    memory: MemoryOption = None,
    feed_rows: FeedOption = False,
    layers: Annotated[bool, typer.Option(help="Show every layer.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure one inference on an emulated target: instructions, memory, flash.

    Instructions are retired ones, counted in QEMU: exact and repeatable, but no latency.
    """
    chosen = targets.load(target)
    if not chosen.emulators:
        raise TargetError(f"{target} has no emulator to count instructions in; choose an emulated target")
    limits = Budget.of(ram, flash, memory)
    outcomes = [fitting(path, target, limits, optimize, feed_rows, as_json).require() for path in models]
    with progress(as_json) as bar:
        found = [Priced.of(o) for o in bar.track(outcomes, description=f"measuring on {target}")]
    report(as_json, [f.as_dict() for f in found], lambda: bench_text(found, layers))


@dataclass(frozen=True)
class Priced:
    """What an inference costs, and what it would cost if nothing had been given up for flash."""

    outcome: Outcome
    cost: Cost
    fastest: Cost

    @classmethod
    def of(cls, outcome: Outcome) -> Priced:
        best, first = outcome.best, outcome.tried[0]
        cost = measure(best.compiled)
        return cls(outcome, cost, cost if best is first else measure(first.compiled))

    def as_dict(self) -> dict[str, Any]:
        limited = self.outcome.budget.flash is not None
        before = {"instructions_without_flash_budget": self.fastest.instructions} if limited else {}
        return {**self.cost.as_dict(), **show_budget.as_dict(self.outcome), **before}


def bench_text(found: list[Priced], layers: bool) -> None:
    show.costs(out, [f.cost for f in found], layers)
    for f in found:
        show_budget.outcome(out, f.outcome)
        if f.cost is not f.fastest:
            ratio = f.cost.instructions / f.fastest.instructions
            out.print(f"that takes {ratio:.3g} times the {f.fastest.instructions:,} instructions of the first way")


def print_version(wanted: bool) -> None:
    if wanted:
        print(f"tinsmith {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
