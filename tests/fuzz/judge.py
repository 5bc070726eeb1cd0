"""What the tools make of one input: refused with a message, compiled, or a finding."""

from __future__ import annotations

import math
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from tinsmith import check, emit, modes, ops, passes, plan
from tinsmith.errors import TinsmithError
from tinsmith.graph import Graph
from tinsmith.load import tflite
from tinsmith.plan import packing
from tinsmith.plan.audit import audit

TIME_LIMIT = 2.0  # seconds of processor time for one input; who waits is noticed by the campaign
SMALL_ARENA = 4 * 2**20  # bytes of activations; what is larger is read and checked, but not planned
LONGEST_MESSAGE = 20_000  # characters
REFUSED, UNSUPPORTED, LARGE, COMPILED = "refused", "unsupported", "large", "compiled"


@dataclass(frozen=True)
class Judged:
    """`kind` is one of the constants above; `graph` is set if C was written."""

    kind: str
    graph: Graph | None = None


@dataclass(frozen=True)
class Finding:
    """A bug that an input shows. Inputs with the same `key` are taken for the same bug."""

    kind: str  # exception, time, message, crash, sanitizer, difference
    where: str
    message: str
    data: bytes
    index: int = -1
    seed: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.where


class TooSlow(BaseException):
    """Not an Exception, so that no handler in the tools takes it for damage in the file."""


def judge(data: bytes) -> Judged | Finding:
    """Loads, checks and, if it is small, compiles one input. Never raises; only within `prepared`."""
    try:
        with limited(TIME_LIMIT):
            return compiled(data)
    except TooSlow:
        return Finding("time", f"more than {TIME_LIMIT:g} s", traceback.format_exc(), data)
    except Exception as error:  # whatever it is: that it escaped is the finding
        return Finding("exception", f"{type(error).__name__} in {innermost(error)}", traceback.format_exc(), data)


def compiled(data: bytes) -> Judged | Finding:
    """load, findings, lower, plan, linked: the way of a model through the tools."""
    try:
        graph = tflite.load_tflite(data, "fuzz")
        for found in check.findings(graph):
            str(found)
        if sum(t.nbytes for t in graph.activations()) > SMALL_ARENA:
            return Judged(LARGE)
        try:
            emit.linked(planned(graph), "fuzz")
        except TinsmithError as error:
            return long_message(error, data) or Judged(UNSUPPORTED)
        return Judged(COMPILED, graph)
    except TinsmithError as error:
        return long_message(error, data) or Judged(REFUSED)


def planned(graph: Graph) -> plan.Plan:
    """The plan of the default mode, which tries layers and rows."""
    found = plan.plan(passes.lower(graph), pixels=modes.mode(modes.DEFAULT).pixels)
    audit(found)
    return found


def long_message(error: TinsmithError, data: bytes) -> Finding | None:
    """A message that nobody can read, or an empty one, is a finding too."""
    text = str(error)
    if 0 < len(text) <= LONGEST_MESSAGE:
        return None
    return Finding("message", f"{len(text)} characters", text[:2000], data)


def innermost(error: BaseException) -> str:
    """The place in the tools where an exception began."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "tinsmith" in Path(f.filename).parts] or list(frames)
    return f"{Path(own[-1].filename).name}:{own[-1].name}" if own else "nowhere"


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TooSlow when the processor time is over: a busy machine is no bug."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextmanager
def prepared() -> Iterator[None]:
    """Meanwhile the alarm works, warnings count as errors, and the planner does not search for long."""

    def too_slow(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    handler, steps = signal.signal(signal.SIGPROF, too_slow), packing.SEARCH_STEPS
    packing.SEARCH_STEPS = 3  # the search does nothing that packing once does not do
    try:
        with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
            warnings.simplefilter("error")
            yield
    finally:
        signal.signal(signal.SIGPROF, handler)
        packing.SEARCH_STEPS = steps


def multiply_accumulates(graph: Graph) -> int:
    """A bound of what one run of the reference costs."""
    calls = [ops.Call.of(graph, node) for node in graph.nodes]
    return sum(window_size(c) * c.y.size for c in calls)


def window_size(call: ops.Call) -> int:
    """Inputs that one output of the call may need."""
    attrs = call.attrs
    if hasattr(attrs, "filter_width"):
        return int(attrs.filter_width) * int(attrs.filter_height)
    if len(call.inputs) > 1 and call.node.op.endswith(("CONV_2D", "CONNECTED")):
        return math.prod(call.input(1).shape)
    return 1
