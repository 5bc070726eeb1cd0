"""Tables from results: bench/results.md, the README's table, the terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence

import plan_pictures
import sections
import suite
from peers import stated
from results import Results
from rich.console import Console
from rich.table import Table
from suite import MAIN_MODE, MODELS, Row

from tinsmith.pipeline import write_files

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
CHART = "docs/images/instructions.svg"


def write(found: Results) -> None:
    """Writes bench/results.md, the README's table and, where there is what they need, pictures and charts."""
    write_files({"results.md": sections.page(found)}, suite.RESULTS.parent)
    readme = suite.ROOT / "README.md"
    write_files({readme.name: with_table(readme.read_text(encoding="utf-8"), found)}, suite.ROOT)
    if plan_pictures.MODEL.exists():
        write_files(plan_pictures.drawn(), suite.ROOT / "docs" / "images")
    else:
        print("note: the picture of plans is left as it was: there is no model zoo", file=sys.stderr)
    if importlib.util.find_spec("matplotlib") is None:
        print("note: charts are left as they were: matplotlib is not installed", file=sys.stderr)
        return
    import charts

    write_files(charts.drawn(found), suite.ROOT / "docs" / "images")


def with_table(readme: str, found: Results) -> str:
    """The README with the figures between its markers made anew."""
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n{readme_table(found)}\n{END}{rest.split(END)[1]}"


def readme_table(found: Results) -> str:
    """Each cell ours / TFLM's."""
    rows = by_place(found)
    headings = ("model", "Cortex-M4, CMSIS-NN", "Cortex-M4, reference", "Cortex-M0+, CMSIS-NN", "RV32IMC, reference",
                "arena B", "flash B")  # fmt: skip
    lines = ["| " + " | ".join(headings) + " |", "|---|" + "---:|" * (len(headings) - 1)]
    for model, peer in stated()["tflm"]["models"].items():
        m4 = rows[model, "cortex-m4"]
        places = (("cmsis_nn", "cortex-m4"), ("reference", "cortex-m4"), ("cmsis_nn", "cortex-m0plus"),
                  ("reference", "rv32imc"))  # fmt: skip
        cells = [pair(rows[model, core]["instructions"], peer[kernels].get(core)) for kernels, core in places]
        cells += [pair(m4["arena_bytes"], peer["arena_bytes"]), pair(m4["flash_bytes"], sections.tflm_flash(peer))]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    lines += ["", f"![Instructions relative to TFLM]({CHART})"]
    return "\n".join(lines)


def by_place(found: Results) -> Mapping[tuple[str, str], Row]:
    """Our rows in the main mode by model and target."""
    return {(r["model"], r["target"]): r for r in found["tinsmith"] if r["mode"] == MAIN_MODE}


def pair(ours: int, theirs: int | None) -> str:
    return f"{ours:,} / {theirs:,}" if theirs is not None else f"{ours:,} / -"


def show(found: Results) -> None:
    """Our figures on the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("model", "target", "mode", *suite.METRICS.values(), "m4 cycles (estimate)")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 3 else "right", no_wrap=True)
    for row in ordered(found["tinsmith"]):
        figures = [f"{row[metric]:,}" for metric in suite.METRICS]
        cycles = row["m4_cycles_estimate"]
        table.add_row(row["model"], row["target"], row["mode"], *figures, f"{cycles:,}" if cycles else "")
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


def ordered(rows: Iterable[Row]) -> Sequence[Row]:
    """Rows with the models in the order of the suite."""
    names = list(MODELS)
    return sorted(rows, key=lambda r: (names.index(r["model"]), r["target"], r["mode"]))
