"""What a model may use of RAM and flash: the fastest of the ways to build it that fit.

The planner trades speed for RAM by itself. Flash is only known once code is built, so the ways of `modes.thriftier`
are compiled and built one after the other, from the fastest on, until one fits both budgets.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import modes, ops
from .emit.render import identifier
from .errors import BudgetMissed, InputError, TargetError
from .load.tflite import load_file
from .measure.sizes import Sizes
from .measure.sizes import flash as flash_sizes
from .modes import Mode
from .passes import lower
from .pipeline import Compiled, api, build_model, kernels_for, plan_graph, written
from .plan import Plan
from .plan.memories import MOST_MEMORIES, Room
from .sizes_text import parse_size
from .targets import Target
from .toolchain import Built

TAKEN_NAMES = ("model", "status")  # what generated functions call other things


@dataclass(frozen=True)
class Budget:
    """The most bytes that a model may use; None: as many as it likes."""

    ram: int | None = None  # of arena
    flash: int | None = None  # of code and constants
    rooms: tuple[Room, ...] = ()  # several memories instead of `ram`

    @property
    def stated(self) -> bool:
        return self.ram is not None or self.flash is not None or bool(self.rooms)

    @classmethod
    def of(cls, ram: str | None = None, flash: str | None = None, memory: str | None = None) -> Budget:
        """A budget as people write it. Raises InputError for what is no size or no list of memories."""
        if ram is not None and memory is not None:
            raise InputError(f"--ram {ram} is for one memory; --memory {memory} says what there is of each")
        ram_bytes, flash_bytes = (None if text is None else parse_size(text) for text in (ram, flash))
        return cls(ram_bytes, flash_bytes, () if memory is None else rooms_of(memory))


def rooms_of(text: str) -> tuple[Room, ...]:
    """Memories as people write them: fast=16K,slow=256K. Raises InputError where that is broken."""
    found = []
    for part in text.split(","):
        name, equals, size = (each.strip() for each in part.partition("="))
        if not equals or identifier(name) != name or name in TAKEN_NAMES:
            raise InputError(
                f"--memory {text}: {part!r} is no memory; write NAME=SIZE, with a name that C takes, such as fast=16K"
            )
        found.append(Room(name, parse_size(size)))
    names = [room.name for room in found]
    if len(set(names)) < len(names):
        raise InputError(f"--memory {text}: two memories have one name")
    if not 2 <= len(found) <= MOST_MEMORIES:
        raise InputError(f"--memory {text}: takes 2 to {MOST_MEMORIES} memories; for a single one there is --ram")
    return tuple(found)


@dataclass(frozen=True)
class Way:
    """A model compiled in one of the ways that were tried; `sizes` are measured if flash has a budget."""

    compiled: Compiled
    sizes: Sizes | None = None

    @property
    def flash_bytes(self) -> int:
        assert self.sizes is not None
        return self.sizes.flash_bytes

    @property
    def special(self) -> tuple[str, ...]:
        """The ops with kernels for the target's instruction set, in the model's order."""
        plan, target = self.compiled.plan, self.compiled.target
        nodes = [node for node in plan.graph.nodes if plan.kernel(node).arch in target.kernels]
        return tuple(dict.fromkeys(node.op for node in nodes))

    @property
    def text(self) -> str:
        """What was chosen, in words."""
        mode = self.compiled.mode
        kernels = f"fast kernels for {', '.join(self.special)}" if self.special else "portable kernels"
        return f"{kernels}, {'compiled into the model' if mode.specialised else 'shared'}, {mode.flag}"

    def as_dict(self) -> dict[str, Any]:
        mode, found = self.compiled.mode, {"arena_bytes": self.compiled.plan.arena_bytes}
        if self.sizes is not None:
            found |= {"flash_code_bytes": self.sizes.code_bytes, "flash_data_bytes": self.sizes.data_bytes}
        return {"special_kernels": list(self.special), "specialised": mode.specialised, "flag": mode.flag, **found}


@dataclass(frozen=True)
class Outcome:
    """The ways that were tried for a budget, in order: the last one fits, or none does."""

    budget: Budget
    tried: tuple[Way, ...]

    @property
    def best(self) -> Way:
        """The one that fits; if none does, the smallest."""
        if self.budget.flash is None or self.fits:
            return self.tried[-1]
        return min(self.tried, key=lambda way: way.flash_bytes)

    @property
    def fits(self) -> bool:
        last, ram, flash = self.tried[-1], self.budget.ram, self.budget.flash
        small = flash is None or last.flash_bytes <= flash
        return small and (ram is None or last.compiled.plan.arena_bytes <= ram)

    def require(self) -> Outcome:
        """Itself. Raises BudgetMissed if nothing fits."""
        if self.fits:
            return self
        assert self.budget.flash is not None
        best, over = self.best, self.best.flash_bytes - self.budget.flash
        within = "" if self.budget.ram is None else f" with an arena of at most {self.budget.ram:,}"
        raise BudgetMissed(
            f"{best.compiled.name} needs {best.flash_bytes:,} bytes of flash{within}, {over:,} more than the budget of "
            f"{self.budget.flash:,}; that is the smallest of {len(self.tried)} ways: {best.text}",
            best.flash_bytes,
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "ram_bytes": self.budget.ram, "memories": {room.name: room.nbytes for room in self.budget.rooms},
            "flash_bytes": self.budget.flash, "fits": self.fits,
            "chosen": self.best.as_dict(), "tried": [way.as_dict() for way in self.tried],
        }  # fmt: skip


@dataclass
class Ways:
    """Compiles one model in several ways; those with the same kernels and rows share their plan."""

    path: Path
    target: Target
    name: str
    budget: Budget
    feed_rows: bool
    plans: dict[tuple[tuple[str, ...], int | None], Plan | BudgetMissed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source = load_file(self.path)
        self.graph = lower(self.source)

    def shares(self) -> list[float]:
        """Of each op in the model's effort, a hair too small, so that an op is not lost to rounding."""
        efforts = ops.efforts(self.graph)
        return [effort / efforts.total() * (1 - 1e-9) for effort in efforts.values()]

    def compiled(self, mode: Mode) -> Compiled:
        """Raises BudgetMissed if the arena is too large."""
        found = self.plan(mode)
        if isinstance(found, BudgetMissed):
            raise found
        return written(found, self.source, self.path, self.target, self.name, mode)

    def plan(self, mode: Mode) -> Plan | BudgetMissed:
        """The plan of a mode, the same object for all modes to which it comes to the same."""
        kernels = kernels_for(self.graph, self.target, mode)
        names = tuple(kernel.kernel for kernel in kernels.values())
        # With a budget of RAM, the planner decides about rows.
        rows = None if self.budget.ram is not None else mode.pixels
        if (names, rows) not in self.plans:
            try:
                found: Plan | BudgetMissed = plan_graph(
                    self.graph, kernels, mode, self.budget.ram, self.feed_rows, self.budget.rooms
                )
            except BudgetMissed as error:
                found = error
            self.plans[names, rows] = found
            if isinstance(found, Plan) and not found.steps:
                # No layer runs row by row, although it might: without rows, the plan would be this one.
                self.plans.setdefault((names, None), found)
        return self.plans[names, rows]

    def different(self, ladder: list[Mode]) -> Iterator[Mode]:
        """Those of the modes that do not come to the same as one before."""
        seen = set()
        for mode in ladder:
            key = (id(self.plan(mode)), mode.specialised, mode.flag)
            if key not in seen:
                seen.add(key)
                yield mode


def search(
    path: Path, target: Target, budget: Budget, name: str | None = None, optimize: str = modes.DEFAULT,
    feed_rows: bool = False, on_way: Callable[[], None] = lambda: None,
) -> Outcome:  # fmt: skip
    """Compiles a model (.tflite) for a budget, as pipeline.compile_model does for RAM alone.

    `on_way` is called after each way that was tried. Raises BudgetMissed if no way fits the budget of RAM (if none fits
    that of flash, the outcome says so), TargetError if flash cannot be measured, as on the host or without the
    target's compiler, and what compile_model raises.
    """
    first = modes.mode(optimize)
    if budget.flash is not None and not target.emulators:
        raise TargetError(f"flash is measured in firmware, and {target.name} has none; choose an emulated target")
    ways = Ways(path, target, identifier(name or path.stem), budget, feed_rows)
    tried: list[Way] = []
    missed: list[BudgetMissed] = []
    for mode in [first] if budget.flash is None else ways.different(modes.thriftier(first, ways.shares())):
        try:
            compiled = ways.compiled(mode)
        except BudgetMissed as error:
            missed.append(error)
            continue
        tried.append(Way(compiled, None if budget.flash is None else measured(compiled)))
        on_way()
        if Outcome(budget, tuple(tried)).fits:
            break
    if not tried:
        raise missed[0]
    return Outcome(budget, tuple(tried))


def measured(compiled: Compiled) -> Sizes:
    """Builds a model as it ships and measures its flash. Raises TargetError without the target's compiler."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as folder:
        return shipped_sizes(compiled, build_model(compiled, Path(folder), instrument="none"))


def shipped_sizes(compiled: Compiled, built: Built) -> Sizes:
    """What a model takes in a firmware that was built without hooks."""
    assert built.map_file is not None
    return flash_sizes(built.map_file, sorted((built.objects / "model").glob("*.o")), api(compiled))
