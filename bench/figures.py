"""Measures the benchmark models and writes the README's table of figures between its markers.

Usage: python bench/figures.py [--check]; needs the model zoo (TINSMITH_ZOO) and the emulators.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tinsmith import targets
from tinsmith.bench import Cost, bench
from tinsmith.pipeline import compile_model, write_files

ROOT = Path(__file__).resolve().parents[1]
ZOO = Path(os.environ.get("TINSMITH_ZOO", ROOT.parent / "shared" / "zoo"))
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"

# TensorFlow Lite Micro 90b983c2, reference kernels, GCC 12.2 -O2, counted in the same emulator:
# instructions on Cortex-M4 and RV32, arena it needs, model file, code (int8-only registration).
TFLM = {
    "mlperf_tiny/ad01_int8": (1_952_361, 2_510_533, 3_024, 276_976, 27_162),
    "mlperf_tiny/kws_int8": (43_039_876, 45_607_383, 22_832, 53_936, 53_442),
    "mlperf_tiny/resnet8_int8": (107_406_108, 127_076_846, 55_008, 98_496, 51_282),
    "mlperf_tiny/vww96_int8": (100_241_158, 114_092_293, 100_720, 333_288, 53_442),
    "tflm/person_detect": (95_685_095, 109_393_178, 82_320, 300_568, 43_702),
    "tflm/micro_speech_quantized": (9_311_230, None, 6_848, 18_800, None),
    "tflm/hello_world_int8": (5_229, None, 1_168, 2_704, 27_162),
}


def measure(model: str, target: str) -> Cost:
    return bench(compile_model(ZOO / f"{model}.tflite", targets.load(target)))


def pair(ours: int, theirs: int | None) -> str:
    return f"{ours:,} / {theirs:,}" if theirs is not None else f"{ours:,} / -"


def table() -> str:
    """The figures as a Markdown table, each cell ours / TFLM."""
    lines = [
        "| model | instructions, Cortex-M4 | instructions, RV32IMC | arena B | model B | code B, Cortex-M4 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for model, (m4, rv32, arena, file_bytes, code) in TFLM.items():
        a, b = measure(model, "cortex-m4"), measure(model, "rv32imc")
        cells = [
            pair(a.instructions, m4), pair(b.instructions, rv32), pair(a.arena_bytes, arena),
            pair(a.flash_data_bytes, file_bytes), pair(a.flash_code_bytes, code),
        ]  # fmt: skip
        lines.append(f"| {a.model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if the table is stale")
    check = parser.parse_args().check
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    head, rest = readme.split(BEGIN)
    fresh = f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"
    if check:
        print("fresh" if fresh == readme else "the README's figures are stale: run make figures")
        return int(fresh != readme)
    write_files({"README.md": fresh}, ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
