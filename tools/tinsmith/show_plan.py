"""A plan as text for people."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .emit.memory_map import memory_map
from .pipeline import Compiled
from .plan.lifetimes import Buffer
from .show import short, table
from .sizes_text import size_text
from .timeline import AFTER, Segment, Timeline


def plan(out: Console, compiled: Compiled, line: Timeline, budget: int | None, picture: Path | None) -> None:
    """Totals, budget, buffers, how the layers run, the memory map."""
    found, peak = compiled.plan, line.peak
    out.print(f"[bold]{compiled.name}[/] on {compiled.target.name}, optimized for {compiled.mode.name}")
    out.print(f"arena    {found.arena_bytes:,} bytes")
    for memory, share in zip(found.memories, found.traffic_shares, strict=True):
        taken = f"{memory.nbytes:,} of {size_text(memory.room.nbytes)}, {share:.0%} of the traffic"
        out.print(f"  {memory.room.name}: {taken}, from {memory.start:,} on")
    out.print(f"scratch  {found.scratch_bytes:,} bytes of it, at most")
    out.print(f"peak     {peak.nbytes:,} bytes in use {where(line)}")
    if budget is not None:
        over = found.arena_bytes - budget
        verdict = f"[bold red]exceeded by {over:,} bytes[/]" if over > 0 else f"[green]{-over:,} bytes left[/]"
        out.print(f"budget   {size_text(budget)}: {verdict}")
    out.print()
    out.print(buffers(line, out.width))
    out.print()
    for text in how_layers_run(line):
        out.print(text)
    out.print()
    out.print("\n".join(memory_map(found)), markup=False, soft_wrap=True)
    if picture:
        out.print(f"\n{escape(str(picture))}", soft_wrap=True)


def where(line: Timeline) -> str:
    node = line.peak.node
    if node == AFTER:
        return "after the last layer"
    return f"in node {node}, {line.plan.graph.nodes[node].op}" if node >= 0 else "while a row of the input is fetched"


def buffers(line: Timeline, width: int) -> Table:
    """One row a buffer, in the order in which they are needed: the memory map goes by addresses. Names give way."""
    headings = (">bytes", ">rows held", ">of", "kind", ">from", ">to", ">nodes")
    ordered = sorted(line.plan.buffers, key=lambda b: (b.first, b.last, b.offset))
    figures = [figures_of(line, b) for b in ordered]
    taken = sum(max(map(len, column)) + 1 for column in zip(headings, *figures, strict=True))
    rows = table(*headings, "name")
    for cells, b in zip(figures, ordered, strict=True):
        rows.add_row(*cells, short(b.name, max(12, min(48, width - taken))))
    return rows


def figures_of(line: Timeline, b: Buffer) -> tuple[str, ...]:
    count = len(line.plan.graph.nodes)
    nodes = f"{'input' if b.first < 0 else b.first} .. {'output' if b.last >= count else b.last}"
    held = (f"{b.nbytes:,}", str(b.rows), str(line.rows_in_all(b)), line.kind(b))
    return (*held, f"{b.offset:,}", f"{b.end - 1:,}", nodes)


def how_layers_run(line: Timeline) -> list[str]:
    """A sentence for each chain of layers that take turns, and for the layers between two of them."""
    found = []
    for by_rows, group in groupby(line.segments, key=lambda s: s.by_rows):
        segments: list[Segment] = list(group)
        for part in [[s] for s in segments] if by_rows else [segments]:
            nodes, calls = [node for s in part for node in s.nodes], sum(s.calls for s in part)
            if not nodes:
                found.append(f"input: {calls:,} rows fetched")
                continue
            named = f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {nodes[0]} to {nodes[-1]}"
            fed = ", with the input's rows as they come" if part[0].fed else ""
            how = f"row by row together{fed}" if by_rows else "layer by layer"
            found.append(f"{named}: {how}, {calls:,} {'call' if calls == 1 else 'calls'}")
    return found
