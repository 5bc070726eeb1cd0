"""The memory map of a plan as text."""

from __future__ import annotations

from ..plan import Plan
from .render import safe_comment


def memory_map(plan: Plan) -> list[str]:
    """One line a buffer, lowest address first: range, lifetime as a row of marks, name."""
    count = len(plan.graph.nodes)
    names: dict[str, list[str]] = {}
    for tensor, root in plan.roots.items():
        names.setdefault(root, []).append(tensor)
    lines = [f"{'bytes':>17}  {header(count)}  tensor"]
    number = -1
    for b in sorted(plan.buffers, key=lambda b: (b.offset, b.first)):
        if plan.memories and plan.memory_of(b.offset) > number:
            number = plan.memory_of(b.offset)
            lines.append(f"{plan.memories[number].room.name}, from {plan.memories[number].start} on:")
        marks = "".join("#" if b.first <= i <= b.last else "." for i in steps(count))
        shared = names.get(b.name, [b.name])
        label = b.name if len(shared) == 1 else f"{b.name} (and {len(shared) - 1} views)"
        label = label if len(label) <= 60 else f"{label[:28]}...{label[-28:]}"
        lines.append(safe_comment(f"{b.offset:>7} - {b.end - 1:>7}  {marks}  {label}"))
    return lines


MAX_COLUMNS = 64


def steps(count: int) -> list[int]:
    """The node indices shown as columns: all of them, or evenly spaced ones of a long model."""
    stride = -(-count // MAX_COLUMNS) or 1
    return list(range(0, count, stride))


def header(count: int) -> str:
    """Column headings: the last digit of each node's index."""
    return "".join(str(i % 10) for i in steps(count))
