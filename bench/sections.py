"""The sections of bench/results.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import suite
from peers import OURS, stated
from results import Results
from suite import FED, MAIN_MODE, MODELS, Row

HEAD = """\
# Benchmark results

Written by `make bench`; [docs/benchmarks.md](../docs/benchmarks.md) says what the figures mean and how they are
taken. Instructions are retired ones of one inference in QEMU. They are no cycles and no latency.
"""
ADAPTED = """\
bakenn reads .tflite files too, but none of these as they are (reasons below). The project wrote the same networks
in the form that it takes: fixed shapes, the operator versions that it knows, and without the softmax at the end,
which its importer lacks. **Both** compilers are measured on those files; outputs are compared on two inputs.
RAM is the arena with input and output. "portable" is its default, "specialized" its static-priority policy,
"cmsis_nn" that policy with the CMSIS-NN 4.0.0 in its package (Cortex-M4 only).
"""
FLOATS = """\
emlearn does not read .tflite files, and its dense networks compute in float32. For the two models that are fully
connected throughout, it was given the same weights as floats; so this compares int8 with float32, not two compilers
of one computation. RAM is input, output and its static buffers; its form is "loadable". Its output is compared with
the network in double precision: "close" means within a tenth of an output step. Its decision trees have no
counterpart in Tinsmith.
"""
BASE_MODE, SAVING_MODES = "speed", (MAIN_MODE, "ram", FED)


def page(found: Results) -> str:
    """results.md."""
    parts = [HEAD, _against_tflm(found), _memory(found), _prices(found), _all(found), _cycles(found), _bakenn(found),
             _emlearn(found), _refused(found), _made_with(found)]  # fmt: skip
    return "\n".join(part for part in parts if part)


def tflm_flash(peer: Mapping[str, Any]) -> int | None:
    """Code and model file of TFLM; None if the code's size is not known."""
    return peer["code_bytes"] + peer["file_bytes"] if "code_bytes" in peer else None


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A Markdown table; numbers with thousands separators, None as a dash."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * left + "---:|" * (len(headings) - left)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _ratio(ours: int, theirs: int | None) -> str | None:
    return None if theirs is None else f"{ours / theirs:.2f}"


def _main(found: Results) -> list[Row]:
    rows = [row for row in found["tinsmith"] if row["mode"] == MAIN_MODE]
    return sorted(rows, key=lambda row: (list(MODELS).index(row["model"]), row["target"]))


def _against_tflm(found: Results) -> str:
    tflm = stated()["tflm"]
    rows = []
    for row in _main(found):
        peer = tflm["models"].get(row["model"], {})
        fast, plain = (peer.get(kernels, {}).get(row["target"]) for kernels in ("cmsis_nn", "reference"))
        if fast or plain:
            ours = row["instructions"]
            rows.append((row["model"], row["target"], ours, fast, _ratio(ours, fast), plain, _ratio(ours, plain)))
    headings = ("model", "core", "Tinsmith", "TFLM + CMSIS-NN", "ratio", "TFLM reference kernels", "ratio")
    note = (
        f"TFLM: commit {tflm['commit']}; {tflm['compiler']}; {tflm['emulator']}; {tflm['method']}. "
        "These are constants (bench/peers.toml), not measured again. A ratio below 1 means fewer instructions."
    )
    return f"## Instructions against TensorFlow Lite Micro\n\n{table(headings, rows, 2)}\n{note}\n"


def _memory(found: Results) -> str:
    tflm = stated()["tflm"]
    rows: list[Sequence[object]] = []
    for row in _main(found):
        peer = tflm["models"].get(row["model"])
        if row["target"] == "cortex-m4" and peer:
            arena, flash, theirs = row["arena_bytes"], row["flash_bytes"], tflm_flash(peer)
            rows.append((row["model"], arena, peer["arena_bytes"], _ratio(arena, peer["arena_bytes"]), flash, theirs,
                         _ratio(flash, theirs), peer["setup_instructions"]))  # fmt: skip
    headings = ("model", "arena B", "TFLM", "ratio", "flash B", "TFLM", "ratio", "TFLM set-up instructions")
    note = (
        f"Cortex-M4. Arena of TFLM: {tflm['arena']}. Flash of TFLM: the model file and code ({tflm['code']}). "
        f"Set-up: {tflm['setup']}; Tinsmith has none."
    )
    return f"## Memory against TensorFlow Lite Micro\n\n{table(headings, rows)}\n{note}\n"


def _prices(found: Results) -> str:
    """What each saving of RAM costs in instructions."""
    own = {(r["model"], r["target"], r["mode"]): r for r in found["tinsmith"]}
    rows = []
    for model, target in dict.fromkeys((task.model, task.target) for task in suite.tasks()):
        base, *others = (own.get((model, target, mode)) for mode in (BASE_MODE, *SAVING_MODES))
        if base and any(row and row["arena_bytes"] < base["arena_bytes"] for row in others):
            rows.append((model, target, base["arena_bytes"], *(cell for row in others for cell in _price(row, base))))
    headings = ["model", "core", f"{BASE_MODE}, arena B"]
    headings += [heading for mode in SAVING_MODES for heading in (f"{mode}, arena B", "instructions")]
    note = f"Instructions are multiples of those of `{BASE_MODE}`, which runs layer by layer."
    return f"## The price of RAM\n\n{note}\n\n{table(headings, rows, 2)}"


def _price(row: Row | None, base: Row) -> tuple[int | None, str | None]:
    return (row["arena_bytes"], _ratio(row["instructions"], base["instructions"])) if row else (None, None)


def _all(found: Results) -> str:
    rows = [
        (r["model"], r["target"], r["mode"], *(r[m] for m in suite.METRICS), f"{r['instructions'] / r['macs']:.2f}")
        for r in sorted(found["tinsmith"], key=lambda r: (list(MODELS).index(r["model"]), r["target"], r["mode"]))
    ]
    headings = ("model", "target", "mode", *suite.METRICS.values(), "instructions per MAC")
    return f"## Tinsmith on every core\n\nMemory in bytes.\n\n{table(headings, rows, 3)}"


def _cycles(found: Results) -> str:
    rows = [(r["model"], r["m4_cycles_estimate"], r["instructions"], f"{r['m4_cycles_estimate'] / r['macs']:.2f}")
            for r in _main(found) if r["m4_cycles_estimate"]]  # fmt: skip
    headings = ("model", "cycles (estimate)", "instructions", "cycles per MAC (estimate)")
    note = "An estimate from the counts and the core's manual, without wait states; not measured on silicon."
    return f"## Estimated cycles, Cortex-M4\n\n{note}\n\n{table(headings, rows)}"


def _bakenn(found: Results) -> str:
    rows = [r for r in found["others"] if r["peer"] == "bakenn"]
    if not rows:
        return "## bakenn\n\nNot measured: it was not installed.\n"
    ours = {(r["model"], r["target"]): r for r in rows if r["variant"] == OURS}
    cells = [
        (r["model"], r["target"], r["variant"], r["instructions"],
         _ratio(ours[r["model"], r["target"]]["instructions"], r["instructions"]), r["ram_bytes"], r["flash_bytes"],
         r["stack_bytes"], r["outputs"])
        for r in sorted(rows, key=lambda r: (list(MODELS).index(r["model"]), r["target"], r["variant"] != OURS))
    ]  # fmt: skip
    headings = ("model", "core", "kernels", "instructions", "Tinsmith / this", "RAM B", "flash B", "stack B", "outputs")
    title = f"## bakenn {found['peers']['bakenn']}"
    return f"{title}\n\n{ADAPTED}\n{table(headings, cells, 3)}"


def _emlearn(found: Results) -> str:
    rows = [r for r in found["others"] if r["peer"] == "emlearn"]
    if not rows:
        return "## emlearn\n\nNot measured: it was not installed.\n"
    ours = {(r["model"], r["target"]): r for r in _main(found)}
    cells: list[Sequence[object]] = []
    for r in rows:
        own = ours[r["model"], r["target"]]
        cells.append((r["model"], r["target"], "Tinsmith, int8", own["instructions"], own["arena_bytes"],
                      own["flash_bytes"], own["stack_bytes"], None))  # fmt: skip
        cells.append((r["model"], r["target"], "emlearn, float32", r["instructions"], r["ram_bytes"], r["flash_bytes"],
                      r["stack_bytes"], r["outputs"]))  # fmt: skip
    headings = ("model", "core", "", "instructions", "RAM B", "flash B", "stack B", "outputs")
    return f"## emlearn {found['peers']['emlearn']}\n\n{FLOATS}\n{table(headings, cells, 3)}"


def _refused(found: Results) -> str:
    if not found["refused"]:
        return ""
    rows = [(r["peer"], r["model"], r["file"], r["reason"].replace("|", "\\|")) for r in found["refused"]]
    note = "Of bakenn, its own messages; of emlearn, the layers that it has no counterpart for."
    return f"## What the peers refuse\n\n{note}\n\n{table(('', 'model', 'file', 'reason'), rows, 4)}"


def _made_with(found: Results) -> str:
    tools = "\n".join(f"- {name}: {version}" for name, version in found["tools"].items())
    return f"## Made with\n\n{tools}\n"
