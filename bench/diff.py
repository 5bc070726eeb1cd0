"""Measures again and compares with the committed results: exits with 1 if any figure got worse.

    python bench/diff.py                 everything of the project's own (peers do not change)
    python bench/diff.py --quick         a few models on two cores, as the tests do
    python bench/diff.py --only kws_int8

Counts and sizes are exact, so there is no tolerance. They belong to one compiler: with another one,
differences say nothing about the code, and the comparison says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pool
import results
import suite
from results import Results
from suite import METRICS, Row, Task


@dataclass(frozen=True)
class Change:
    """A figure that is not what it was."""

    task: Task
    metric: str
    before: int
    now: int

    @property
    def worse(self) -> bool:
        return self.now > self.before

    def __str__(self) -> str:
        share = f", {100 * (self.now - self.before) / self.before:+.2f} %" if self.before else ""
        return f"{self.task}: {METRICS[self.metric]} {self.before:,} -> {self.now:,}{share}"


def committed(found: Results) -> dict[Task, Row]:
    """The rows of results by what was measured."""
    return {Task(row["model"], row["target"], row["mode"]): row for row in found["tinsmith"]}


def changes(before: Mapping[Task, Row], now: Mapping[Task, Row]) -> list[Change]:
    """All figures that differ, of what both sides have."""
    found = []
    for task, row in now.items():
        if task in before:
            pairs = ((metric, before[task][metric], row[metric]) for metric in METRICS)
            found += [Change(task, metric, old, new) for metric, old, new in pairs if old != new]
    return found


def other_tools(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Compilers and emulators that are not those of the committed results, a sentence for each."""
    return [
        f"{name} is {now[name]!r} here, and {before.get(name, 'nothing')!r} made the committed results"
        for name in sorted(now)
        if before.get(name) != now[name]
    ]


def verdict(before: Results, now: Mapping[Task, Row], tools: Mapping[str, str]) -> tuple[list[str], bool]:
    """What to tell, and whether it is good."""
    old = committed(before)
    found = changes(old, now)
    strange = other_tools(before["tools"], tools)
    gone = sorted(old.keys() - set(suite.tasks()))
    lines = [f"another tool: {sentence}" for sentence in strange]
    lines += [f"new: {task}" for task in now if task not in old]
    lines += [f"gone: {task}" for task in gone]
    lines += [f"better: {change}" for change in found if not change.worse]
    lines += [f"worse: {change}" for change in found if change.worse]
    bad = any(change.worse for change in found)
    if bad and strange:
        lines.append("Figures of different compilers cannot be compared; `make bench` would commit those of this one.")
    lines.append(f"{len(now)} measured, {len(found)} figures changed, {sum(c.worse for c in found)} for the worse")
    return lines, not bad and not gone


def measured(tasks: Sequence[Task], jobs: int, quiet: bool = True) -> dict[Task, Row]:
    """The rows of tasks as they are now."""
    rows = pool.run(tasks, jobs, quiet)
    return {task: rows[task] for task in tasks}


def versions(tasks: Iterable[Task]) -> dict[str, str]:
    return suite.tool_versions({task.target for task in tasks})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(suite.QUICK)}")
    parser.add_argument("--only", action="append", default=[], metavar="MODEL[/TARGET[/MODE]]", help="only these")
    parser.add_argument("--jobs", type=int, default=2, help="measurements at a time (default: %(default)s)")
    options = parser.parse_args()
    before = results.load()
    tasks = suite.tasks([*options.only, *(suite.QUICK if options.quick else ())])
    now = measured(tasks, options.jobs, quiet=not sys.stderr.isatty())
    lines, good = verdict(before, now, versions(tasks))
    print("\n".join(lines))
    return int(not good)


if __name__ == "__main__":
    sys.exit(pool.guarded(main))
