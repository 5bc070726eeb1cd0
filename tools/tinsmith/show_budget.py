"""What was chosen for a budget, and what it takes: as text for people, as a dictionary for machines."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from .budget import Outcome
from .pipeline import Compiled
from .sizes_text import size_text


def as_dict(found: Outcome) -> dict[str, Any]:
    """{"budget": ...} if there is one, else nothing."""
    return {"budget": found.as_dict()} if found.budget.stated else {}


def outcome(out: Console, found: Outcome) -> None:
    """How much of the budget is left, what was chosen, and what was too large."""
    best, ram = found.best, found.budget.ram
    if ram is not None:
        out.print(f"{best.compiled.name}: arena {against(best.compiled.plan.arena_bytes, ram)}", soft_wrap=True)
    memories(out, best.compiled)
    flash(out, found)


def memories(out: Console, compiled: Compiled) -> None:
    """What is taken of each memory, if there are several."""
    plan = compiled.plan
    for memory, share in zip(plan.memories, plan.traffic_shares, strict=True):
        left = against(memory.nbytes, memory.room.nbytes)
        out.print(f"{compiled.name}: {memory.room.name} {left}; {share:.0%} of the traffic", soft_wrap=True)


def flash(out: Console, found: Outcome) -> None:
    """The same of flash alone."""
    best, budget = found.best, found.budget
    if budget.flash is None or best.sizes is None:
        return
    parts = f"code {best.sizes.code_bytes:,}, data {best.sizes.data_bytes:,}"
    out.print(f"{best.compiled.name}: flash {against(best.flash_bytes, budget.flash)} ({parts})", soft_wrap=True)
    for way in found.tried if len(found.tried) > 1 else ():
        arena = way.compiled.plan.arena_bytes
        mark = "  <- this one" if way is best and found.fits else ""
        out.print(f"  {way.flash_bytes:>9,} with {way.text}, arena {arena:,}{mark}", soft_wrap=True)
    what = "chosen" if found.fits else "smallest"
    out.print(f"  {what}: {best.text}; compile it with {best.compiled.mode.flag}", soft_wrap=True)


def against(nbytes: int, limit: int) -> str:
    over = nbytes - limit
    verdict = (
        f"[bold red]{over:,} more than {size_text(limit)}[/]" if over > 0 else f"{-over:,} of {size_text(limit)} left"
    )
    return f"{nbytes:,} bytes, {verdict}"
