"""Charts of results, as SVG without dates or random names: the same figures give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from peers import stated
from results import Results
from sections import tflm_flash
from suite import MAIN_MODE, MODELS

# What TFLM has for a core: its fastest kernels there.
CORES = (
    ("cortex-m4", "cmsis_nn", "Cortex-M4, against CMSIS-NN", "#1b6ca8"),
    ("cortex-m55", "cmsis_nn", "Cortex-M55, against CMSIS-NN", "#6a4c93"),
    ("cortex-m0plus", "cmsis_nn", "Cortex-M0+, against CMSIS-NN", "#3aa17e"),
    ("rv32imc", "reference", "RV32IMC, against reference kernels", "#d98032"),
)
OURS, THEIRS = "#1b6ca8", "#b8bec6"
STYLE: Any = {
    "svg.hashsalt": "tinsmith", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": "white",
}  # fmt: skip

Bars = Sequence[tuple[str, str, Mapping[str, float]]]  # label, colour, value by model


def drawn(found: Results) -> dict[str, str]:
    """File name -> SVG."""
    with matplotlib.rc_context(STYLE):
        return {"instructions.svg": _svg(instructions(found)), "memory.svg": _svg(memory(found))}


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Matplotlib leaves blanks at the ends of lines.
    return "\n".join(line.rstrip() for line in buffer.getvalue().decode("utf-8").splitlines()) + "\n"


def instructions(found: Results) -> Figure:
    """Instructions of an inference relative to TFLM with its fastest kernels for each core."""
    own = {(r["model"], r["target"]): r["instructions"] for r in found["tinsmith"] if r["mode"] == MAIN_MODE}
    tflm = stated()["tflm"]["models"]
    series = []
    for core, kernels, label, colour in CORES:
        both = [m for m in tflm if core in tflm[m][kernels] and (m, core) in own]
        ratios = {m: own[m, core] / tflm[m][kernels][core] for m in both}
        if ratios:
            series.append((label, colour, ratios))
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yscale("log", base=2)
    _bars(axes, series, list(tflm), "{:.2f}", start=1)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_ylabel("instructions, TFLM = 1")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title("Instructions of one inference, relative to TensorFlow Lite Micro (below 1 is less)", fontsize=10)
    figure.legend(frameon=False, fontsize=8, ncols=2, loc="outside lower center")
    return figure


def memory(found: Results) -> Figure:
    """Arena and flash in KiB, on a Cortex-M4."""
    rows = {r["model"]: r for r in found["tinsmith"] if r["mode"] == MAIN_MODE and r["target"] == "cortex-m4"}
    tflm = stated()["tflm"]["models"]
    arena = {m: p["arena_bytes"] / 1024 for m, p in tflm.items()}
    flash = {m: size / 1024 for m, p in tflm.items() if (size := tflm_flash(p)) is not None}
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    for number, (title, key, theirs) in enumerate((
        ("Arena, KiB", "arena_bytes", arena),
        ("Flash: code and constants, KiB (TFLM: int8-only reference kernels and the model file)", "flash_bytes", flash),
    ), 1):  # fmt: skip
        axes = figure.add_subplot(2, 1, number)
        ours = {m: rows[m][key] / 1024 for m in tflm if m in rows}
        _bars(axes, [("Tinsmith", OURS, ours), ("TFLM", THEIRS, theirs)], list(tflm), "{:.3g}")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_title(title, fontsize=10)
        axes.legend(frameon=False, fontsize=8)
    return figure


def _bars(axes: Axes, series: Bars, models: Sequence[str], form: str, start: float = 0) -> None:
    """Groups of bars, one group a model, each bar from `start` to its value."""
    width = 0.8 / len(series)
    for number, (label, colour, values) in enumerate(series):
        known = [(i, values[m]) for i, m in enumerate(models) if m in values]
        places = [i + (number - (len(series) - 1) / 2) * width for i, _ in known]
        heights = [value - start for _, value in known]
        drawn = axes.bar(places, heights, width * 0.92, start, label=label, color=colour)
        axes.bar_label(drawn, [form.format(value) for _, value in known], fontsize=6.5, padding=1)
    axes.set_xticks(range(len(models)), [_short(m) for m in models])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(-0.6, len(models) - 0.4)
    axes.margins(y=0.18)


def _short(model: str) -> str:
    assert model in MODELS
    return model.removesuffix("_int8").removesuffix("_quantized").replace("_", "\n", 1)
