"""From a model file to text, and to a library or firmware: what the commands are made of."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import modes, ops, toolchain
from .emit import linked
from .emit.render import identifier
from .errors import TinsmithError
from .graph import Graph, Node
from .load.tflite import load_file
from .modes import Mode
from .passes import lower
from .paths import firmware
from .plan import Plan
from .plan.audit import audit
from .plan.memories import Room
from .plan.parts import plan_with_parts
from .targets import Target


@dataclass(frozen=True)
class Compiled:
    """A model as it was loaded, its plan for a target, and the files that the plan became."""

    name: str  # C identifier
    path: Path
    target: Target
    mode: Mode
    source: Graph
    plan: Plan
    files: Mapping[str, str]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that have a kernel, in the order in which they run."""
        return tuple(n for n in self.plan.graph.nodes if not ops.find(n.op).view)


def compile_model(
    path: Path, target: Target, name: str | None = None, optimize: str = modes.DEFAULT, ram: int | None = None,
    feed_rows: bool = False, rooms: Sequence[Room] = (),
) -> Compiled:  # fmt: skip
    """Loads, lowers, plans and writes a model (.tflite) for a target's kernels.

    `name` prefixes everything in the generated C; by default it is made from the file's name. `optimize` is one of
    modes.MODES; `ram` is a budget for the arena, in bytes. With `feed_rows`, the model takes its input row by row.
    `rooms` are several memories to be used, the fastest first.
    Raises BudgetMissed if the model does not fit its budget, ModelError for damaged files and Unsupported for models
    that cannot be compiled.
    """
    source = load_file(path)
    symbol = identifier(name or path.stem)
    return compile_graph(lower(source), source, path, target, symbol, modes.mode(optimize), ram, feed_rows, rooms)


def compile_graph(
    graph: Graph, source: Graph, path: Path, target: Target, name: str, mode: Mode, ram: int | None = None,
    feed_rows: bool = False, rooms: Sequence[Room] = (),
) -> Compiled:  # fmt: skip
    """Plans and writes a lowered graph; `source` is what it was made from."""
    planned = plan_graph(graph, kernels_for(graph, target, mode), mode, ram, feed_rows, rooms)
    return written(planned, source, path, target, name, mode)


def kernels_for(graph: Graph, target: Target, mode: Mode) -> dict[str, ops.Op]:
    """The kernel of each node, by its output."""
    return ops.choose(graph, target.kernels if mode.special_kernels else (), mode.least_share)


def plan_graph(
    graph: Graph, kernels: Mapping[str, ops.Op], mode: Mode, ram: int | None, feed_rows: bool,
    rooms: Sequence[Room] = (),
) -> Plan:  # fmt: skip
    """A plan that has been audited."""
    planned = plan_with_parts(graph, kernels, mode.pixels, ram, feed_rows, rooms)
    audit(planned)
    return planned


def written(planned: Plan, source: Graph, path: Path, target: Target, name: str, mode: Mode) -> Compiled:
    """A plan as files."""
    return Compiled(name, path, target, mode, source, planned, linked(planned, name, mode.specialised, mode.flag))


def write_files(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Writes text files, each whole or not at all. Raises TinsmithError where the folder refuses them."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            part = folder / f".{name}.part"
            part.write_text(text, encoding="utf-8")
            os.replace(part, folder / name)
            written.append(folder / name)
    except OSError as error:
        raise TinsmithError(f"{folder}: cannot write {error.filename}: {error.strerror}") from None
    return written


def kernel_sources(compiled: Compiled) -> list[Path]:
    """The kernels' source files that the model needs."""
    names = compiled.plan.sources
    # A specialised model includes the kernels that are C; what is left is assembly.
    return [firmware() / "core" / n for n in names if not (compiled.mode.specialised and n.endswith(".c"))]


def kernel_defines(compiled: Compiled) -> list[str]:
    """Macros with which the kernels that are compiled on their own leave out what the model does not use."""
    if compiled.mode.specialised:
        return []
    return [f"{macro}=0" for macro in compiled.plan.omitted(thrifty=True)]


def build_model(
    compiled: Compiled,
    folder: Path,
    *,
    instrument: toolchain.Instrument = "check",
    sanitize: bool = False,
) -> toolchain.Built:
    """Writes the model's files to a folder and builds NAME.so (host) or NAME.elf (firmware) beside them."""
    target = compiled.target
    write_files(compiled.files, folder)
    sources = [folder / f"{compiled.name}.c", *kernel_sources(compiled)]
    kind: toolchain.Kind = "firmware" if target.emulators else "shared"
    return toolchain.build(
        target, sources, [folder], folder / f"{compiled.name}{'.elf' if target.emulators else '.so'}",
        kind=kind, optimize=compiled.mode.flag, instrument=instrument, sanitize=sanitize, keep=api(compiled),
        defines=[
            *toolchain.infer_defines(compiled.name, compiled.plan.fed_bytes, compiled.plan.memory_names),
            *kernel_defines(compiled),
        ],
    )  # fmt: skip


def api(compiled: Compiled) -> tuple[str, str]:
    """The functions that firmware calls: the first opens, the second computes."""
    return f"{compiled.name}_open", f"{compiled.name}_run{'_rows' if compiled.plan.fed else ''}"
