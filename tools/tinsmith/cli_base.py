"""What all commands share: options, errors as one message, text or JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from . import modes, targets
from .budget import Budget, Outcome, search
from .errors import BudgetMissed, TinsmithError

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
RamOption = Annotated[
    str | None,
    typer.Option(
        help="Most RAM for the arena, such as 16K: layers then run row by row as far as that takes.", show_default=False
    ),
]
FlashOption = Annotated[
    str | None,
    typer.Option(
        help="Most flash for code and constants, such as 48K: gives up speed as far as that takes. It is measured, "
        "so the target's compiler has to be installed.",
        show_default=False,
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=SIZE,...",
        help="Several memories instead of one, the fastest first, such as fast=16K,slow=256K: what is used most lies "
        "in the fastest.",
        show_default=False,
    ),
]
FeedOption = Annotated[
    bool, typer.Option("--feed-rows", help="The model takes its input row by row, as cameras and microphones give it.")
]


def fitting(
    path: Path, target: str, limits: Budget, optimize: str, feed_rows: bool, as_json: bool, name: str | None = None
) -> Outcome:
    """Compiles a model for a budget, with a bar while ways are tried. Raises what budget.search raises."""
    with progress(as_json or limits.flash is None) as bar:
        task = bar.add_task(f"{path.stem}: trying ways to build it", total=None)
        return search(path, targets.load(target), limits, name, optimize, feed_rows, lambda: bar.advance(task))


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Turns errors that users cause into one message, as JSON where JSON was asked for, and exit code 1, or 2 if a
    model misses its budget."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TinsmithError as error:
            if kwargs.get("as_json"):
                print(json.dumps({"error": str(error), "kind": type(error).__name__}))
            else:
                err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(2 if isinstance(error, BudgetMissed) else 1) from None
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
