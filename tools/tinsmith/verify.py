"""Compares a target with TensorFlow Lite Micro, byte for byte, and finds the layer where they part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .graph import Array
from .judge import Judge
from .pipeline import Compiled
from .runners import Runner, runner
from .samples import Sample, made_up


@dataclass(frozen=True)
class Difference:
    """Where a target first differs from the judge."""

    sample: int
    kind: str  # of the sample
    layer: str
    op: str
    differing: int  # elements of the layer's output
    elements: int
    index: int  # of the first one, flat
    expected: float
    got: float

    def __str__(self) -> str:
        return (
            f"sample {self.sample} ({self.kind}): {self.op} {self.layer!r} differs in {self.differing} of "
            f"{self.elements} values, first at {self.index}: expected {self.expected:g}, got {self.got:g}"
        )


@dataclass(frozen=True)
class Verdict:
    """The result of a comparison."""

    model: str
    target: str
    samples: int
    bytes_compared: int
    differing_samples: int
    first: Difference | None

    @property
    def passed(self) -> bool:
        return self.differing_samples == 0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def verify(
    compiled: Compiled,
    samples: int = 100,
    seed: int = 0,
    given: Sequence[Sample] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verdict:
    """Runs `samples` made-up samples, and the given ones, through the judge and the model's target.

    `progress` is called with (samples judged, all samples). Raises TargetError where either cannot run.
    """
    data = compiled.path.read_bytes()
    cases = [("given", s) for s in given] + list(made_up(compiled.source, samples, seed))
    judge = Judge(data, compiled.source)
    expected = []
    for done, (_, sample) in enumerate(cases, 1):
        expected.append(judge.run(sample))
        progress(done, len(cases))
    with runner(compiled) as device:
        got = device.run([sample for _, sample in cases])
        wrong = [i for i, (a, b) in enumerate(zip(expected, got, strict=True)) if not same(a, b)]
        first = locate(compiled, device, data, wrong[0], *cases[wrong[0]]) if wrong else None
    compared = len(cases) * sum(compiled.source[n].nbytes for n in compiled.source.outputs)
    return Verdict(compiled.name, compiled.target.name, len(cases), compared, len(wrong), first)


def same(a: Sequence[Array], b: Sequence[Array]) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def locate(compiled: Compiled, device: Runner, data: bytes, index: int, kind: str, sample: Sample) -> Difference:
    """The first node, in order, whose output differs on this sample."""
    judge = Judge(data, compiled.source, preserve=True)
    outputs = dict(zip(compiled.source.outputs, judge.run(sample), strict=True))
    found: Difference | None = None
    for name, got in device.trace(sample).items():
        tensor = compiled.plan.graph[name]
        expected = outputs.get(name)
        if expected is None and tensor.source >= 0:
            expected = judge.tensor(tensor.source)
            if tensor.kept is not None:  # a pass left out the other channels
                expected = expected[..., list(tensor.kept)]
        if expected is None or expected.tobytes() == got.tobytes():
            continue
        node = compiled.plan.graph.nodes[compiled.plan.graph.producers[name]]
        found = difference(index, kind, node.name, node.op, expected.reshape(-1), got.reshape(-1))
        break
    assert found is not None, "outputs differ but no layer does"
    return found


def difference(sample: int, kind: str, layer: str, op: str, expected: Array, got: Array) -> Difference:
    wrong = np.flatnonzero(expected != got)
    first = int(wrong[0])
    return Difference(
        sample, kind, layer, op, len(wrong), expected.size, first, float(expected[first]), float(got[first])
    )
