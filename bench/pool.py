"""Runs measurements two at a time, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import peers
import suite
from peers import PeerTask
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from suite import Row, Task

from tinsmith.errors import TinsmithError

AnyTask = Task | PeerTask


class Failed(TinsmithError):
    """A measurement did not come to its end; the message names it."""


def execute(task: AnyTask) -> tuple[Row | None, str]:
    """A row, or why there is none: errors of tools do not all survive the way between processes."""
    try:
        return (suite.measure(task) if isinstance(task, Task) else peers.measure(task)), ""
    except TinsmithError as error:
        return None, str(error)


def run(tasks: Sequence[AnyTask], jobs: int, quiet: bool = False) -> dict[AnyTask, Row]:
    """The rows of all tasks. Raises Failed as soon as one fails, and leaves the rest."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    rows: dict[AnyTask, Row] = {}
    with (
        Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar,
        ProcessPoolExecutor(jobs) as workers,
    ):
        shown = bar.add_task("measuring", total=len(tasks))
        futures = {workers.submit(execute, task): task for task in tasks}
        for future in as_completed(futures):
            found, problem = future.result()
            if found is None:
                workers.shutdown(cancel_futures=True)
                raise Failed(f"{futures[future]}: {problem}")
            rows[futures[future]] = found
            bar.update(shown, advance=1, description=str(futures[future]))
    return rows


def guarded(main: Callable[[], int]) -> int:
    """Runs a command; errors that users cause are one message and exit code 1."""
    try:
        return main()
    except TinsmithError as error:
        Console(stderr=True, highlight=False).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 1
