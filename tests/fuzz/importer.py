"""Fuzzes the way of a .tflite file through the tools.

Any exception but a TinsmithError, more than two seconds or a gigabyte for one input, a report of a sanitizer, or an
output that differs from the numpy reference is a finding: it is saved, and the exit code is 1.

    python tests/fuzz/importer.py --runs 1000000 --workers 2
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: every worker would start threads of its own

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fuzz import campaign, judge, minimise
from fuzz.corpus import Seed, corpus


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = parser().parse_args(arguments)
    seeds = corpus()
    options = campaign.Options(args.runs, args.seconds, args.seed, args.workers, args.execute_every)
    report = with_progress(seeds, options, quiet=args.json)
    folder = Path(args.findings)
    saved = [save(found, seeds, folder, args.minimise) for found in report.findings.values()]
    summary = summarise(report, options, saved)
    print(json.dumps(summary, indent=2) if args.json else text(summary))
    return 1 if report.findings else 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--runs", type=int, default=1_000_000, help="inputs (%(default)s)")
    p.add_argument("--seconds", type=float, default=math.inf, help="stop after this time")
    p.add_argument("--seed", type=int, default=1, help="another number makes other inputs (%(default)s)")
    p.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    p.add_argument("--execute-every", type=int, default=400, metavar="N",
                   help="run every Nth accepted input under the sanitizers, 0 for none (%(default)s)")  # fmt: skip
    p.add_argument("--findings", default="fuzz-findings", metavar="DIR", help="where inputs are saved (%(default)s)")
    p.add_argument("--minimise", action="store_true", help="save inputs with few changes from their seed")
    p.add_argument("--json", action="store_true", help="a summary for machines on standard output, no progress")
    return p


def with_progress(seeds: Sequence[Seed], options: campaign.Options, quiet: bool) -> campaign.Report:
    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.completed:,} of {task.total:,}"), TextColumn("{task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False, disable=quiet) as progress:
        task = progress.add_task("", total=options.runs)

        def show(report: campaign.Report) -> None:
            rate = report.inputs / max(report.elapsed, 1e-9)
            description = f"{rate:,.0f}/s, {report.counts['executed']} run, {len(report.findings)} findings"
            progress.update(task, completed=report.inputs, description=description, refresh=console.is_terminal)
            if not (quiet or console.is_terminal):
                console.print(f"{report.inputs:,} of {options.runs:,}, {description}")

        return campaign.run(seeds, options, throttled(show, 0.25 if console.is_terminal else 30.0))


def throttled(show: Callable[[campaign.Report], None], seconds: float) -> Callable[[campaign.Report], None]:
    """Calls at most once in so many seconds."""
    last = 0.0

    def call(report: campaign.Report) -> None:
        nonlocal last
        if report.elapsed - last >= seconds:
            last = report.elapsed
            show(report)

    return call


def save(found: judge.Finding, seeds: Sequence[Seed], folder: Path, shrink: bool) -> dict[str, Any]:
    """Writes NAME.tflite and NAME.txt; returns what the summary says of the finding."""
    seed = next((s.data for s in seeds if s.name == found.seed), b"")
    with judge.prepared():
        data = minimise.minimised(found, seed) if shrink else found.data
    name = f"{found.kind}-{hashlib.sha256(repr(found.key).encode()).hexdigest()[:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / f"{name}.tflite", data)
    head = f"{found.kind}: {found.where}\ninput {found.index}, from the seed {found.seed!r}"
    lines = [head, "", found.message, ""]
    write(folder / f"{name}.txt", "\n".join([*lines, minimise.differences(data, seed), ""]).encode())
    return {"kind": found.kind, "where": found.where, "index": found.index, "seed": found.seed,
            "file": str(folder / f"{name}.tflite")}  # fmt: skip


def write(path: Path, data: bytes) -> None:
    """Nothing half-written: a temporary file, then a new name."""
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_bytes(data)
    temporary.replace(path)


def summarise(report: campaign.Report, options: campaign.Options, saved: list[dict[str, Any]]) -> dict[str, Any]:
    for entry in saved:
        entry["hits"] = report.hits[entry["kind"], entry["where"]]
    return {
        "inputs": report.inputs,
        "seconds": round(report.elapsed, 1),
        "inputs_per_second": round(report.inputs / max(report.elapsed, 1e-9)),
        "seed": options.campaign,
        "workers": options.workers,
        "counts": dict(sorted(report.counts.items())),
        "findings": saved,
    }


def text(summary: dict[str, Any]) -> str:
    counts = ", ".join(f"{n:,} {kind}" for kind, n in summary["counts"].items())
    lines = [f"{summary['inputs']:,} inputs in {summary['seconds']} s ({summary['inputs_per_second']:,}/s): {counts}"]
    lines += [f"  {f['kind']}: {f['where']} ({f['hits']} inputs, {f['file']})" for f in summary["findings"]]
    return "\n".join(lines if summary["findings"] else [*lines, "no findings"])


if __name__ == "__main__":
    sys.exit(main())
