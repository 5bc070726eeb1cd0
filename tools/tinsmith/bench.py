"""What one inference costs on an emulated core: instructions, memory, flash."""

from __future__ import annotations

import collections
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import emulate, ops
from .budget import shipped_sizes
from .errors import TargetError
from .measure.cycles import Cycles, applies, estimate
from .measure.retired import Counter, Counts, merged
from .measure.stack import worst_case
from .ops import Call
from .pipeline import Compiled, api, build_model
from .plan.schedule import FEED
from .runners import joined
from .samples import fixed

# The one call through a pointer that generated code makes, if the input comes row by row. What the source of rows takes
# is not known here, so it counts nothing.
FEED_CALL: Mapping[str, Sequence[str]] = {"need_input": ()}


@dataclass(frozen=True)
class Layer:
    """One node's share of an inference."""

    name: str
    op: str
    macs: int
    instructions: int
    m4_cycles_estimate: int | None = None  # on a Cortex-M4 without wait states; no latency


@dataclass(frozen=True)
class Cost:
    """Figures of one model on one target.

    Instructions are retired ones in QEMU: the same binary gives the same count everywhere, and they
    are no latency. They include opening the model, which is all the set-up there is. For an input that comes row by
    row, instructions and stack are without what the source of rows does.
    """

    model: str
    target: str
    optimize: str  # the mode
    instructions: int
    macs: int
    arena_bytes: int
    scratch_bytes: int
    stack_bytes: int
    flash_code_bytes: int  # kernels, generated code and library helpers, without port and harness
    flash_data_bytes: int
    layers: tuple[Layer, ...]
    m4_cycles_estimate: int | None = None  # see measure/cycles.py; None on other cores

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def bench(compiled: Compiled) -> Cost:
    """Measures a model on an emulated target. Raises TargetError for targets that have no emulator."""
    target = compiled.target
    if not target.emulators:
        raise TargetError(f"{target.name} has no emulator to count instructions in; choose an emulated target")
    graph = compiled.plan.graph
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as folder:
        counted = build_model(compiled, Path(folder, "count"), instrument="count")
        with Counter(counted.output) as counter:
            emulate.run(counted, [joined([fixed(graph[n]) for n in graph.inputs])], qemu_args=counter.qemu_args)
            counts = merged(counter.regions())
        cycles = estimate(counted.output, counts) if applies(target.flags) else None
        # Sizes and stack are those of the code that ships, which has no hooks in it.
        shipped = build_model(compiled, Path(folder, "ship"), instrument="none")
        sizes = shipped_sizes(compiled, shipped)
        graphs = sorted((shipped.objects / "model").glob("*.ci"))
        stack = worst_case(shipped.output, graphs, api(compiled)[1], FEED_CALL if compiled.plan.fed else {})
    layers = layer_costs(compiled, counts, cycles)
    return Cost(
        compiled.name, target.name, compiled.mode.name, counts.total, sum(layer.macs for layer in layers),
        compiled.plan.arena_bytes, compiled.plan.scratch_bytes, stack.bytes, sizes.code_bytes, sizes.data_bytes,
        layers, cycles.total if cycles else None,
    )  # fmt: skip


def layer_costs(compiled: Compiled, counts: Counts, cycles: Cycles | None) -> tuple[Layer, ...]:
    """The nodes' shares, in the order of the graph; a node that runs row by row has many calls."""
    graph = compiled.plan.graph
    calls = [graph.nodes[run.node].outputs[0] for run in compiled.plan.runs if run.node != FEED]
    instructions, estimates = collections.Counter[str](), collections.Counter[str]()
    for name, retired, estimated in zip(calls, counts.nodes, cycles.nodes if cycles else counts.nodes, strict=True):
        instructions[name] += retired
        estimates[name] += estimated
    return tuple(
        Layer(
            n.name, n.op, ops.find(n.op).macs(Call.of(graph, n)), instructions[n.outputs[0]],
            estimates[n.outputs[0]] if cycles else None,
        )
        for n in compiled.nodes
    )  # fmt: skip
