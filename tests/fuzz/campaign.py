"""Many inputs over several worker processes, each with a limit on memory and watched for crashes."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from fuzz.corpus import Seed
from fuzz.execute import Bench, Candidate, worth_running
from fuzz.judge import Finding, judge, prepare
from fuzz.mutate import Mutator

MEMORY = 1 << 30  # bytes that a worker may take beyond what it starts with
REPORT_EVERY = 100  # inputs between two messages of a worker
STUCK_SECONDS = 90.0  # without a message: longer than a batch takes to compile and run
BATCH = 16  # models in one executable


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
    """A process, where it stands and when it was last heard of."""

    process: Any
    connection: Connection
    current: Any  # shared: the index of the input at hand
    end: int
    heard: float


def run(seeds: Sequence[Seed], options: Options, progress: Callable[[Report], None] = lambda report: None) -> Report:
    """Runs a campaign; calls `progress` now and then."""
    mutator, report = Mutator(seeds, options.campaign), Report()
    begin = time.monotonic()
    deadline = begin + options.seconds
    workers = [start(mutator, options, deadline, first, options.runs) for first in range(options.workers)]
    while workers:
        ready = wait([w.connection for w in workers], timeout=1.0)
        for worker in list(workers):
            gone = worker.connection in ready and not receive(worker, report)
            if gone or time.monotonic() - worker.heard > STUCK_SECONDS:
                workers.remove(worker)
                workers += bury(worker, mutator, options, deadline, report)
        report.elapsed = time.monotonic() - begin
        progress(report)
    return report


def start(mutator: Mutator, options: Options, deadline: float, first: int, end: int) -> Worker:
    """A worker for the inputs first, first + workers, ... below end."""
    context = multiprocessing.get_context("fork")  # the corpus and its sites are there already
    ours, theirs = context.Pipe(duplex=False)
    current = context.Value("q", first, lock=False)
    process = context.Process(target=work, args=(mutator, options, deadline, first, end, current, theirs), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours, current, end, time.monotonic())


def receive(worker: Worker, report: Report) -> bool:
    """Takes one message; False if the worker has gone."""
    try:
        message = worker.connection.recv()
    except (EOFError, OSError):
        return False
    worker.heard = time.monotonic()
    if isinstance(message, Finding):
        report.add(message)
    else:
        report.counts.update(message)
    return True


def bury(worker: Worker, mutator: Mutator, options: Options, deadline: float, report: Report) -> list[Worker]:
    """Ends a worker; if it did not end well, that is a finding, and a new worker goes on behind the input."""
    worker.process.join(1.0)
    stuck = worker.process.is_alive()
    if stuck:
        worker.process.kill()
        worker.process.join()
    if not stuck and worker.process.exitcode == 0:
        return []
    index = int(worker.current.value)
    where = f"no answer for {STUCK_SECONDS:g} s" if stuck else f"exit code {worker.process.exitcode}"
    report.counts["crash"] += 1
    seed = mutator.origin(index).name
    report.add(Finding("crash", where, "the worker process died or hung", mutator.input(index), index, seed))
    again = index + options.workers
    return [start(mutator, options, deadline, again, worker.end)] if again < worker.end else []


def work(
    mutator: Mutator, options: Options, deadline: float, first: int, end: int, current: Any, connection: Connection
) -> None:
    """The life of a worker."""
    limit_memory()
    prepare()
    with Bench() as bench:
        job = Job(mutator, options.execute_every, connection, bench)
        for index in range(first, end, options.workers):
            if time.monotonic() > deadline:
                break
            current.value = index
            job.take(index)
        job.execute()
        job.report()
    connection.close()


@dataclass
class Job:
    """What a worker does with its inputs."""

    mutator: Mutator
    execute_every: int
    connection: Connection
    bench: Bench
    counts: Counter[str] = field(default_factory=Counter)
    batch: list[Candidate] = field(default_factory=list)
    accepted: int = 0

    def take(self, index: int) -> None:
        """Judges one input, and now and then runs a batch of those accepted."""
        data = self.mutator.input(index)
        result = judge(data)
        self.counts[result.kind] += 1
        if isinstance(result, Finding):
            self.send(replace(result, index=index))
        elif self.execute_every and result.graph and worth_running(result.graph, data):
            self.accepted += 1
            if self.accepted % self.execute_every == 0:
                self.batch.append(Candidate(index, data, result.graph))
        if len(self.batch) == BATCH:
            self.execute()
        if self.counts.total() >= REPORT_EVERY:
            self.report()

    def execute(self) -> None:
        if self.batch:
            self.report()  # so that nobody takes the time to compile for a hang
            for found in self.bench.run(self.batch):
                self.send(found)
            self.counts["executed"] += len(self.batch)
            self.batch = []

    def send(self, found: Finding) -> None:
        self.connection.send(replace(found, seed=self.mutator.origin(found.index).name))

    def report(self) -> None:
        self.connection.send(self.counts)
        self.counts = Counter()


def limit_memory() -> None:
    """Lets an allocation beyond MEMORY fail in this process."""
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
