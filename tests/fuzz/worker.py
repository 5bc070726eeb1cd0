"""What a process of a campaign does: judge inputs, run some of them, report."""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from fuzz.execute import Bench, Candidate, worth_running
from fuzz.judge import Finding, judge, prepared
from fuzz.mutate import Mutator

MEMORY = 1 << 30  # bytes that a worker may take beyond what it starts with
REPORT_EVERY = 100  # inputs between two messages
BATCH = 16  # models in one executable


def work(job: Job, indices: Sequence[int], deadline: float, current: Any) -> None:
    """The life of a worker."""
    limit_memory()
    with prepared(), Bench(job.objects) as job.bench:
        for index in indices:
            if time.monotonic() > deadline:
                break
            current.value = index
            job.take(index)
        job.execute()
        job.report()
    job.connection.close()


@dataclass
class Job:
    """A worker's inputs and what has come of them. `objects` are the compiled kernels."""

    mutator: Mutator
    execute_every: int
    objects: Sequence[str]
    connection: Connection
    bench: Bench | None = None
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
        if self.batch and self.bench:
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
