"""The README's picture of plans: one model layer by layer, and row by row, beside what TFLM takes.

    python bench/plan_pictures.py     writes docs/images/plan-vww96.svg

It follows from the code and the model alone, not from results.json, and needs the model zoo (TINSMITH_ZOO).
"""

from __future__ import annotations

import sys

import pool
import suite
from peers import stated

from tinsmith import targets
from tinsmith.emit.plan_picture import Bar, comparison
from tinsmith.pipeline import compile_model, write_files
from tinsmith.timeline import Timeline

NAME, TARGET = "vww96_int8", "cortex-m4"
MODEL = suite.MODELS[NAME]
FILE = "plan-vww96.svg"
WAYS = {"speed": "layer by layer (--optimize speed)", "ram": "row by row (--optimize ram)"}


def drawn() -> dict[str, str]:
    """File name -> SVG."""
    plans = [(heading, timeline(mode)) for mode, heading in WAYS.items()]
    tflm = Bar("TensorFlow Lite Micro", "tensors and records", stated()["tflm"]["models"][NAME]["arena_bytes"])
    text = comparison(
        f"The arena of {NAME} on a Cortex-M4, from the first call to the last",
        "addresses up, time across; the same scale and the same outputs everywhere",
        plans,
        tflm,
    )
    return {FILE: text}


def timeline(mode: str) -> Timeline:
    """The model's plan in a mode."""
    return Timeline.of(compile_model(MODEL, targets.load(TARGET), optimize=mode).plan)


def main() -> int:
    write_files(drawn(), suite.ROOT / "docs" / "images")
    return 0


if __name__ == "__main__":
    sys.exit(pool.guarded(main))
