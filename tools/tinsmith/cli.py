"""The command line: one command for each thing one does with a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from . import __version__, modes, show, show_plan, targets
from .bench import bench as measure
from .cli_base import (
    FeedOption,
    JsonOption,
    ModelArgument,
    NameOption,
    OptimizeOption,
    OutOption,
    RamOption,
    TargetOption,
    app,
    budget,
    command,
    err,
    out,
    progress,
    report,
)
from .dump import dump_graph, dump_plan
from .emit.plan_picture import plan_picture
from .errors import BudgetMissed, InputError, TargetError, TinsmithError
from .graph import Array, Tensor
from .images import check_picture, write_picture
from .inspection import inspect_model
from .passes import stages
from .pipeline import Compiled, build_model, compile_model, runner, write_files
from .plan_report import report as plan_report
from .samples import Sample, from_files
from .timeline import Timeline
from .verify import verify as compare

__all__ = ["app", "main"]


@command
def inspect(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Show what a model holds: graph, shapes, scales, costs, what is unsupported, which targets it fits.

    Exits with 0 also for models that cannot be compiled: showing why is what it is for.
    """
    found = inspect_model(model)
    report(as_json, found.as_dict(), lambda: show.inspection(out, found))


@command
def compile(
    model: ModelArgument,
    out_dir: OutOption,
    target: TargetOption = "host",
    name: NameOption = None,
    optimize: OptimizeOption = modes.DEFAULT,
    ram: RamOption = None,
    feed_rows: FeedOption = False,
    dump: Annotated[bool, typer.Option(help="Print the graph after every pass, and the memory plan.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write NAME.h, NAME.c and NAME.json: the model as C.

    Compile them together with the kernels in firmware/core/ops. The same model gives the same bytes.
    """
    compiled = compile_model(model, targets.load(target), name, optimize, budget(ram), feed_rows)
    if dump:
        print_dump(compiled)
    paths = write_files(compiled.files, out_dir)
    value = {**summary(compiled), "target": target, "files": [str(p) for p in paths]}
    report(as_json, value, lambda: show.compiled(out, compiled, paths))


def print_dump(compiled: Compiled) -> None:
    for stage, graph in stages(compiled.source):
        err.print(dump_graph(stage, graph), markup=False, soft_wrap=True)
    err.print(dump_plan(compiled.plan), markup=False, soft_wrap=True)


def summary(compiled: Compiled) -> dict[str, Any]:
    return {
        "model": compiled.name,
        "arena_bytes": compiled.plan.arena_bytes,
        "scratch_bytes": compiled.plan.scratch_bytes,
        "feed_rows": bool(compiled.plan.fed),
    }


@command
def build(
    model: ModelArgument,
    out_dir: OutOption,
    target: TargetOption = "host",
    name: NameOption = None,
    optimize: OptimizeOption = modes.DEFAULT,
    ram: RamOption = None,
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compile, then build a shared library (host) or a firmware ELF for the target's emulator.

    The firmware answers requests with the model's outputs; `tinsmith run` is its other end.
    """
    compiled = compile_model(model, targets.load(target), name, optimize, budget(ram), feed_rows)
    built = build_model(compiled, out_dir)
    machine = built.emulator.machine if built.emulator else None
    value = {**summary(compiled), "target": target, "output": str(built.output), "machine": machine}
    report(as_json, value, lambda: show.built(out, compiled, built))


@command
def plan(
    model: ModelArgument,
    target: TargetOption = "host",
    optimize: OptimizeOption = modes.DEFAULT,
    picture: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw the plan: FILE.svg or FILE.png.", show_default=False)
    ] = None,
    ram: RamOption = None,
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what lies where in the arena, from when to when, and which layers run row by row.

    In the picture, time goes across and addresses go up. A model that misses its budget is shown as `--optimize ram`
    plans it; the exit code is then 2.
    """
    limit = budget(ram)
    if picture:
        check_picture(picture)
    try:
        compiled = compile_model(model, targets.load(target), optimize=optimize, ram=limit, feed_rows=feed_rows)
    except BudgetMissed:
        compiled = compile_model(model, targets.load(target), optimize="ram", feed_rows=feed_rows)
    line = Timeline.of(compiled.plan)
    if picture:
        title = f"{model.stem} on {target}, optimized for {compiled.mode.name}"
        write_picture(picture, plan_picture(line, title, limit))
    value = {**plan_report(compiled, line, limit), "picture": str(picture) if picture else None}
    report(as_json, value, lambda: show_plan.plan(out, compiled, line, limit, picture))
    if limit is not None and compiled.plan.arena_bytes > limit:
        raise typer.Exit(2)


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
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run inferences on the host or in the target's emulator.

    Float arrays are quantized with the model's own scale; integer arrays pass as they are.
    """
    compiled = compile_model(model, targets.load(target), optimize=optimize, feed_rows=feed_rows)
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
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare a target with the official TensorFlow Lite Micro runtime, byte for byte.

    Exits with 1 and names the first layer that differs if a single byte does.
    """
    compiled = compile_model(model, targets.load(target), optimize=optimize, feed_rows=feed_rows)
    given: list[Sample] = from_files(compiled.source, inputs) if inputs else []
    with progress(as_json) as bar:
        task = bar.add_task(f"{compiled.name} on {target}", total=None)
        verdict = compare(compiled, samples, seed, given, lambda n, total: bar.update(task, completed=n, total=total))
    report(as_json, verdict.as_dict(), lambda: show.verdict(out, verdict))
    if not verdict.passed:
        raise typer.Exit(1)


@command
def bench(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help=".tflite files.", show_default=False)],
    target: TargetOption = "cortex-m4",
    optimize: OptimizeOption = modes.DEFAULT,
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
    costs = []
    with progress(as_json) as bar:
        for path in bar.track(models, description=f"measuring on {target}"):
            costs.append(measure(compile_model(path, chosen, optimize=optimize, feed_rows=feed_rows)))
    report(as_json, [c.as_dict() for c in costs], lambda: show.costs(out, costs, layers))


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
