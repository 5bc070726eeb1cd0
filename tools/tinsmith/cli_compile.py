"""Commands that look at a model and turn it into code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from . import modes, show, show_budget, show_plan
from .budget import Budget, Outcome
from .cli_base import (
    FeedOption,
    FlashOption,
    JsonOption,
    MemoryOption,
    ModelArgument,
    NameOption,
    OptimizeOption,
    OutOption,
    RamOption,
    TargetOption,
    command,
    err,
    escape,
    fitting,
    out,
    report,
)
from .dump import dump_graph, dump_plan
from .emit.plan_picture import plan_picture
from .emit.shared_arena import SharedArena, require_distinct
from .errors import BudgetMissed, InputError
from .images import check_picture, write_picture
from .inspection import inspect_model
from .passes import stages
from .pipeline import Compiled, build_model, write_files
from .plan_report import report as plan_report
from .timeline import Timeline
from .toolchain import Built


@command
def inspect(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Show what a model holds: graph, shapes, scales, costs, what is unsupported, which targets it fits.

    Exits with 0 also for models that cannot be compiled: showing why is what it is for.
    """
    found = inspect_model(model)
    report(as_json, found.as_dict(), lambda: show.inspection(out, found))


SharedOption = Annotated[
    str | None,
    typer.Option(
        "--shared-arena", metavar="NAME", show_default=False,
        help="Also write NAME.h, with one arena for all of these models, which take turns in it.",
    ),
]  # fmt: skip


@command
def compile(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help=".tflite files.", show_default=False)],
    out_dir: OutOption,
    target: TargetOption = "host",
    name: NameOption = None,
    optimize: OptimizeOption = modes.DEFAULT,
    ram: RamOption = None,
    flash: FlashOption = None,
    memory: MemoryOption = None,
    feed_rows: FeedOption = False,
    shared_arena: SharedOption = None,
    dump: Annotated[bool, typer.Option(help="Print the graph after every pass, and the memory plan.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write NAME.h, NAME.c and NAME.json: the model as C.

    Compile them together with the kernels in firmware/core/ops. The same model gives the same bytes. Several models
    are compiled with the same options; `--ram` is for each of them.
    """
    limits = Budget.of(ram, flash, memory)
    check_models(models, name, limits, shared_arena)
    found = [fitting(path, target, limits, optimize, feed_rows, as_json, name).require() for path in models]
    require_distinct([(o.best.compiled.name, o.best.compiled.path) for o in found])
    together = shared_by(shared_arena, found)
    if dump:
        for one in found:
            print_dump(one.best.compiled)
    files = {file: text for o in found for file, text in o.best.compiled.files.items()}
    paths = write_files(files | (together.files() if together else {}), out_dir)
    value = compile_report(found, target, together, paths)
    report(as_json, value, lambda: compile_text(found, together, paths))


def check_models(models: Sequence[Path], name: str | None, limits: Budget, shared: str | None) -> None:
    """Raises InputError for options that several models cannot have."""
    if shared is not None and limits.rooms:
        raise InputError(f"--shared-arena {shared} is one memory for all models; it does not go with --memory")
    if len(models) > 1 and name is not None:
        raise InputError(f"--name {name} names one model, and {len(models)} were given; their files name them")
    if len(models) > 1 and limits.flash is not None:
        # Models share kernels, so that what they take together is not the sum of what each takes alone.
        raise InputError(f"--flash is measured for one model, and {len(models)} were given; compile them one by one")


def shared_by(name: str | None, found: Sequence[Outcome]) -> SharedArena | None:
    """The arena of all models if it has a name."""
    compiled = [o.best.compiled for o in found]
    entries = [(c.name, c.plan.arena_bytes, c.path.name) for c in compiled]
    return None if name is None else SharedArena.of(name, entries)


def compile_report(
    found: Sequence[Outcome], target: str, together: SharedArena | None, paths: Sequence[Path]
) -> dict[str, Any]:
    """Of one model, what it is; of several, a list of that."""
    models = [{**summary(o.best.compiled), **show_budget.as_dict(o)} for o in found]
    rest: dict[str, Any] = {"target": target, "files": [str(path) for path in paths]}
    if together:
        rest["shared_arena"] = {"name": together.name, "arena_bytes": together.arena_bytes}
    return {**models[0], **rest} if len(models) == 1 else {"models": models, **rest}


def compile_text(found: Sequence[Outcome], together: SharedArena | None, paths: Sequence[Path]) -> None:
    for one in found:
        compiled = one.best.compiled
        show.compiled(out, compiled, [path for path in paths if path.name in compiled.files])
        show_budget.outcome(out, one)
    if together:
        out.print(f"{together.name}: one arena of {together.arena_bytes:,} bytes for {', '.join(together.models)}")
        out.print(f"  {escape(str(paths[-1]))}", soft_wrap=True)


def print_dump(compiled: Compiled) -> None:
    for stage, graph in stages(compiled.source):
        err.print(dump_graph(stage, graph), markup=False, soft_wrap=True)
    err.print(dump_plan(compiled.plan), markup=False, soft_wrap=True)


def summary(compiled: Compiled) -> dict[str, Any]:
    return {
        "model": compiled.name,
        "arena_bytes": compiled.plan.arena_bytes,
        "scratch_bytes": compiled.plan.scratch_bytes,
        "memories": {memory.room.name: memory.nbytes for memory in compiled.plan.memories},
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
    flash: FlashOption = None,
    memory: MemoryOption = None,
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compile, then build a shared library (host) or a firmware ELF for the target's emulator.

    The firmware answers requests with the model's outputs; `tinsmith run` is its other end. It holds one model: for
    several in one arena, see `tinsmith compile --shared-arena`.
    """
    found = fitting(model, target, Budget.of(ram, flash, memory), optimize, feed_rows, as_json, name).require()
    compiled = found.best.compiled
    built = build_model(compiled, out_dir)
    machine = built.emulator.machine if built.emulator else None
    value = {**summary(compiled), "target": target, "output": str(built.output), "machine": machine}
    report(as_json, {**value, **show_budget.as_dict(found)}, lambda: build_text(found, built))


def build_text(found: Outcome, built: Built) -> None:
    show.built(out, found.best.compiled, built)
    show_budget.outcome(out, found)


@command
def plan(
    model: ModelArgument,
    target: TargetOption = "host",
    optimize: OptimizeOption = modes.DEFAULT,
    picture: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw the plan: FILE.svg or FILE.png.", show_default=False)
    ] = None,
    ram: RamOption = None,
    flash: FlashOption = None,
    memory: MemoryOption = None,
    feed_rows: FeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what lies where in the arena, from when to when, and which layers run row by row.

    In the picture, time goes across and addresses go up. A model that misses its budget is shown as small as it gets,
    in RAM or in flash; the exit code is then 2.
    """
    limits = Budget.of(ram, flash, memory)
    if picture:
        check_picture(picture)
    found = plan_within(model, target, limits, optimize, feed_rows, as_json)
    compiled = found.best.compiled
    line = Timeline.of(compiled.plan)
    if picture:
        title = f"{model.stem} on {target}, optimized for {compiled.mode.name}"
        write_picture(picture, plan_picture(line, title, limits.ram))
    value = {**plan_report(compiled, line, limits.ram), "picture": str(picture) if picture else None}
    value |= {**show_budget.as_dict(found), "fits": found.fits}
    report(as_json, value, lambda: plan_text(found, line, picture))
    if not found.fits:
        raise typer.Exit(2)


def plan_within(model: Path, target: str, limits: Budget, optimize: str, feed_rows: bool, as_json: bool) -> Outcome:
    """The plan for a budget; the smallest one if no arena fits. Raises BudgetMissed if several memories do not hold
    any."""
    try:
        return fitting(model, target, limits, optimize, feed_rows, as_json)
    except BudgetMissed as missed:
        if limits.ram is None:
            raise
        smallest = fitting(model, target, Budget(ram=missed.needed), optimize, feed_rows, as_json)
        return replace(smallest, budget=Budget(ram=limits.ram))


def plan_text(found: Outcome, line: Timeline, picture: Path | None) -> None:
    show_plan.plan(out, found.best.compiled, line, found.budget.ram, picture)
    show_budget.flash(out, found)
