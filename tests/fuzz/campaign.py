"""Many inputs over several worker processes, each watched for crashes."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fuzz.corpus import Seed
from fuzz.execute import kernels
from fuzz.judge import Finding
from fuzz.mutate import Mutator
from fuzz.worker import Job, work

STUCK_SECONDS = 90.0  # without a message: longer than a batch takes to compile and run


@dataclass(frozen=True)
class Options:
    """`runs` inputs or `seconds`, whichever ends first; every `execute_every`-th accepted input that is small
    is run as well (0: none)."""

    runs: int
    seconds: float
    campaign: int
    workers: int
    execute_every: int = 400


@dataclass
class Report:
    """What came of a campaign. `findings` holds the first input of each bug, `hits` how many there were."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    elapsed: float = 0.0

    @property
    def inputs(self) -> int:
        return sum(n for kind, n in self.counts.items() if kind != "executed")

    def add(self, found: Finding) -> None:
        self.hits[found.key] += 1
        self.findings.setdefault(found.key, found)


@dataclass
class Worker:
    """A process and the inputs that it was given: first, first + options.workers, and so on."""

    process: Any
    connection: Connection
    current: Any  # shared: the index of the input at hand
    first: int
    counted: int = 0  # inputs that it has reported
    heard: float = field(default_factory=time.monotonic)


def run(seeds: Sequence[Seed], options: Options, progress: Callable[[Report], None] = lambda report: None) -> Report:
    """Runs a campaign; calls `progress` now and then."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-fuzz-") as folder:
        objects = kernels(Path(folder)) if options.execute_every else []
        return Supervisor(Mutator(seeds, options.campaign), options, objects).run(progress)


class Supervisor:
    """Starts workers, listens to them, and replaces those that die or hang."""

    def __init__(self, mutator: Mutator, options: Options, objects: Sequence[str]) -> None:
        self.mutator, self.options, self.objects, self.report = mutator, options, objects, Report()
        self.begin = time.monotonic()

    def run(self, progress: Callable[[Report], None]) -> Report:
        workers = [self.start(first) for first in range(min(self.options.workers, self.options.runs))]
        while workers:
            ready = wait([w.connection for w in workers], timeout=1.0)
            for worker in list(workers):
                gone = worker.connection in ready and not self.receive(worker)
                if gone or time.monotonic() - worker.heard > STUCK_SECONDS:
                    workers.remove(worker)
                    workers += self.bury(worker)
            self.report.elapsed = time.monotonic() - self.begin
            progress(self.report)
        return self.report

    def start(self, first: int) -> Worker:
        context = multiprocessing.get_context("fork")  # the corpus and its sites are there already
        ours, theirs = context.Pipe(duplex=False)
        current = context.Value("q", first, lock=False)
        indices = range(first, self.options.runs, self.options.workers)
        deadline = self.begin + self.options.seconds
        job = Job(self.mutator, self.options.execute_every, self.objects, theirs)
        process = context.Process(target=work, args=(job, indices, deadline, current), daemon=True)
        process.start()
        theirs.close()
        return Worker(process, ours, current, first)

    def receive(self, worker: Worker) -> bool:
        """Takes one message; False if the worker has gone."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return False
        worker.heard = time.monotonic()
        if isinstance(message, Finding):
            self.report.add(message)
        else:
            self.report.counts.update(message)
            worker.counted += message.total() - message["executed"]
        return True

    def bury(self, worker: Worker) -> list[Worker]:
        """Ends a worker; if it did not end well, that is a finding, and a new one goes on behind the input."""
        worker.process.join(1.0)
        stuck = worker.process.is_alive()
        if stuck:
            worker.process.kill()
            worker.process.join()
        if not stuck and worker.process.exitcode == 0:
            return []
        index = int(worker.current.value)
        where = f"no answer for {STUCK_SECONDS:g} s" if stuck else f"exit code {worker.process.exitcode}"
        done = (index - worker.first) // self.options.workers
        self.report.counts.update({"crash": 1, "died with their worker": done - worker.counted})
        seed = self.mutator.origin(index).name
        self.report.add(Finding("crash", where, "the worker died or hung", self.mutator.input(index), index, seed))
        again = index + self.options.workers
        return [self.start(again)] if again < self.options.runs else []
