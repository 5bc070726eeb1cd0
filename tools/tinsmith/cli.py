"""The command line: one command for each thing one does with a model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from . import __version__, modes, show, targets
from .bench import bench as measure
from .dump import dump_graph, dump_plan
from .errors import InputError, TargetError, TinsmithError
from .graph import Array, Tensor
from .inspection import inspect_model
from .passes import stages
from .pipeline import Compiled, build_model, compile_model, runner, write_files
from .samples import Sample, from_files
from .verify import verify as compare

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    help="Turns trained models into microcontroller firmware.\n\n"
    "A model goes through load, passes, plan and emit; the result is C that needs nothing but the Tinsmith core. "
    f"Targets: {', '.join(targets.names())}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)]
TargetOption = Annotated[str, typer.Option("--target", "-t", help=f"One of {', '.join(targets.names())}.")]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for the results; it is made if need be.", show_default=False)
]
NameOption = Annotated[
    str | None, typer.Option(help="Prefix of everything in the generated C; from the file name if not given.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
OptimizeOption = Annotated[
    str, typer.Option(help="; ".join(f"{m.name}: {m.summary}" for m in modes.MODES.values()) + ".")
]


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Turns errors that users cause into one message and exit code 1, as JSON where JSON was asked for."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TinsmithError as error:
            if kwargs.get("as_json"):
                print(json.dumps({"error": str(error), "kind": type(error).__name__}))
            else:
                err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(1) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone; say nothing more
            raise typer.Exit(1) from None

    app.command()(guarded)
    return guarded


def escape(text: str) -> str:
    return text.replace("[", r"\[")


def progress(quiet: bool) -> Progress:
    """A bar on standard error, for people who watch."""
    return Progress(console=err, transient=True, disable=quiet or not err.is_terminal)


def report(as_json: bool, value: dict[str, Any] | list[Any], text: Callable[[], None]) -> None:
    if as_json:
        print(json.dumps(value, indent=2))
    else:
        text()


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
    dump: Annotated[bool, typer.Option(help="Print the graph after every pass, and the memory plan.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write NAME.h, NAME.c and NAME.json: the model as C.

    Compile them together with the kernels in firmware/core/ops. The same model gives the same bytes.
    """
    compiled = compile_model(model, targets.load(target), name, optimize)
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
    }


@command
def build(
    model: ModelArgument,
    out_dir: OutOption,
    target: TargetOption = "host",
    name: NameOption = None,
    optimize: OptimizeOption = modes.DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Compile, then build a shared library (host) or a firmware ELF for the target's emulator.

    The firmware answers requests with the model's outputs; `tinsmith run` is its other end.
    """
    compiled = compile_model(model, targets.load(target), name, optimize)
    built = build_model(compiled, out_dir)
    machine = built.emulator.machine if built.emulator else None
    value = {**summary(compiled), "target": target, "output": str(built.output), "machine": machine}
    report(as_json, value, lambda: show.built(out, compiled, built))


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
    as_json: JsonOption = False,
) -> None:
    """Run inferences on the host or in the target's emulator.

    Float arrays are quantized with the model's own scale; integer arrays pass as they are.
    """
    compiled = compile_model(model, targets.load(target), optimize=optimize)
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
    as_json: JsonOption = False,
) -> None:
    """Compare a target with the official TensorFlow Lite Micro runtime, byte for byte.

    Exits with 1 and names the first layer that differs if a single byte does.
    """
    compiled = compile_model(model, targets.load(target), optimize=optimize)
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
            costs.append(measure(compile_model(path, chosen, optimize=optimize)))
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
