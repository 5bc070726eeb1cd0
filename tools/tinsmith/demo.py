"""`make demo`: a digit classifier on this computer and on an emulated Cortex-M4, judged digit by digit."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from . import samples, targets
from .bench import Cost, bench
from .errors import TargetError, TinsmithError
from .graph import Array
from .judge import Judge, import_runtime
from .pipeline import Compiled, compile_model
from .runners import runner

RECIPE = Path(__file__).resolve().parents[2] / "models" / "digits"
DEVICE = "cortex-m4"
SHADES = " ░▒▓█"  # white to black, twice as wide as high in most fonts, so a pixel is two of them
SHOWN = 4  # digits side by side


@dataclass(frozen=True)
class Place:
    """What one runtime answered: `outputs` int8 [digits, 10], and how many of them are right."""

    name: str
    outputs: Array
    correct: int

    @property
    def answers(self) -> Array:
        answers: Array = self.outputs.argmax(axis=1)
        return answers


@dataclass(frozen=True)
class Result:
    """The held-out digits (`images` float32 [n, 8, 8, 1], `labels` int64 [n]) and what became of them."""

    images: Array
    labels: Array
    host: Place
    device: Place
    reference: Place | None  # TensorFlow Lite Micro, where its wheel is installed
    cost: Cost

    @property
    def others(self) -> tuple[Place, ...]:
        """Those that must answer the same bytes as the host."""
        return (self.device, self.reference) if self.reference else (self.device,)

    @property
    def agree(self) -> bool:
        return all(differing(self.host, other) == 0 for other in self.others)

    def as_dict(self) -> dict[str, Any]:
        count = len(self.labels)
        return {
            "digits": count,
            "output_bytes": self.host.outputs.size,
            "places": [
                {"name": p.name, "correct": p.correct, "accuracy": p.correct / count,
                 "bytes_unlike_host": differing(self.host, p)}
                for p in (self.host, *self.others)
            ],
            "cost": asdict(self.cost),
        }  # fmt: skip


def differing(a: Place, b: Place) -> int:
    """Output bytes in which two runtimes differ."""
    return int((a.outputs != b.outputs).sum())


def held_out() -> tuple[Array, Array]:
    """Images and labels of digits/data.py. Raises TinsmithError without a checkout or without scikit-learn."""
    spec = importlib.util.spec_from_file_location("digits_data", RECIPE / "data.py")
    if spec is None or spec.loader is None or not (RECIPE / "data.py").is_file():
        raise TinsmithError(f"the demo needs a checkout of the repository: there is no {RECIPE / 'data.py'}")
    data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(data)
    try:
        images, labels = data.held_out()
    except ImportError:
        raise TinsmithError("the digits come with scikit-learn: pip install 'tinsmith[models]'") from None
    return images, labels


def demonstrate(step: Callable[[str], None]) -> Result:
    """Runs every held-out digit everywhere; `step` is told what happens next."""
    images, labels = held_out()
    step("Compiling digits.tflite to C")
    device, host_model = (compile_model(RECIPE / "digits.tflite", targets.load(t)) for t in (DEVICE, "host"))
    tensor = device.source[device.source.inputs[0]]
    inputs = list(samples.batch(tensor, images, Path("held-out digits"), saturate=False))

    def place(name: str, outputs: Sequence[Array]) -> Place:
        rows = np.stack([output.reshape(-1) for output in outputs])
        return Place(name, rows, int((rows.argmax(axis=1) == labels).sum()))

    def on(compiled: Compiled) -> list[Array]:
        with runner(compiled) as built:
            return [outputs[0] for outputs in built.run([[value] for value in inputs])]

    step(f"Running {len(labels)} digits on this computer")
    host = place("this computer", on(host_model))
    step(f"Running {len(labels)} digits on an emulated {DEVICE}")
    emulated = place(f"emulated {DEVICE}", on(device))
    step("Asking TensorFlow Lite Micro")
    judged = reference(device, inputs)
    step("Counting instructions and bytes")
    cost = bench(device)
    judge = place("TensorFlow Lite Micro", judged) if judged else None
    return Result(images, labels, host, emulated, judge, cost)


def reference(compiled: Compiled, inputs: Sequence[Array]) -> list[Array] | None:
    """The official runtime's outputs; None where there is no wheel of it."""
    try:
        import_runtime()
    except TargetError:
        return None
    judge = Judge(compiled.path.read_bytes(), compiled.source)
    return [judge.run([value])[0] for value in inputs]


def chosen(result: Result) -> list[int]:
    """Digits to show: the first of each of a few kinds, and a wrong one if there is one."""
    wrong: list[int] = np.flatnonzero(result.device.answers != result.labels)[:1].tolist()
    right = [int(np.flatnonzero((result.labels == n) & (result.device.answers == n))[0]) for n in (3, 4, 8, 9)]
    return right[: SHOWN - len(wrong)] + wrong


def picture(image: Array) -> str:
    """An image [8, 8, 1] of 0..1 as eight lines of characters."""
    levels = np.rint(image[..., 0] * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(SHADES[level] * 2 for level in row) for row in levels)


def show_digits(result: Result, console: Console) -> None:
    grid = Table.grid(padding=(0, 3))
    indices = chosen(result)
    grid.add_row(*[picture(result.images[i]) for i in indices])
    captions = []
    for i in indices:
        answer, label = result.device.answers[i], result.labels[i]
        mark = "[green]right[/]" if answer == label else f"[red]wrong: it is a {label}[/]"
        captions.append(f"[bold]{answer}[/] {mark}")
    grid.add_row(*captions)
    console.print(grid)


def show_places(result: Result, console: Console) -> None:
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("held-out digits")
    for heading in ("right", "accuracy", "output bytes that differ"):
        table.add_column(heading, justify="right")
    count = len(result.labels)
    for place in (result.host, *result.others):
        unlike = "" if place is result.host else f"{differing(result.host, place)} of {place.outputs.size:,}"
        table.add_row(place.name, f"{place.correct} of {count}", f"{place.correct / count:.1%}", unlike)
    if result.reference is None:
        table.add_row("TensorFlow Lite Micro", "not installed", "", "")
    console.print(table)


def show_cost(cost: Cost, console: Console) -> None:
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column(f"one digit on {cost.target}")
    table.add_column("", justify="right")
    table.add_column("")
    for what, value, unit in (
        ("flash, code", cost.flash_code_bytes, "bytes: kernels, model, helpers"),
        ("flash, data", cost.flash_data_bytes, "bytes: weights and parameters"),
        ("RAM, arena", cost.arena_bytes, "bytes: inputs, outputs, all between"),
        ("RAM, stack", cost.stack_bytes, "bytes at most"),
        ("instructions", cost.instructions, "an inference, counted in the emulator"),
        ("multiply-accumulates", cost.macs, "an inference"),
    ):
        table.add_row(what, f"{value:,}", unit)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tinsmith.demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)
    try:
        with errors.status("") as status:
            result = demonstrate(status.update)
    except TinsmithError as error:
        errors.print(f"tinsmith: {error}", style="red", markup=False)
        return 1
    if options.json:
        print(json.dumps(result.as_dict(), indent=2))
    else:
        for show in (show_digits, show_places):
            show(result, console)
            console.print()
        show_cost(result.cost, console)
    if not result.agree:
        errors.print("tinsmith: the answers are not the same everywhere", style="red")
    return 0 if result.agree else 1


if __name__ == "__main__":
    sys.exit(main())
