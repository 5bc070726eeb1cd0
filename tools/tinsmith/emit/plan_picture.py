"""Plans as pictures: time across, addresses up, a block for whatever lies in the arena from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from ..sizes_text import size_text
from ..timeline import AFTER, Timeline
from .plan_scale import Box, Scale, number
from .plan_shapes import Shape, calls, labelled, shapes
from .render import render

WIDTH, HEIGHT = 1200, 700
LEFT, RIGHT, TOP, BOTTOM = 74, 22, 76, 142  # room around the panel of a picture with one
LABEL_GAP = 10.5  # pixels between names along the time axis
LEAST_EDGE = 3  # pixels between lines between layers
FARTHEST = 3  # a budget of more than so many arenas is told, not drawn


@dataclass(frozen=True)
class Panel:
    """One plan, drawn: what the template needs."""

    box: Box
    shapes: Sequence[Shape]
    calls: Sequence[tuple[str, str]]  # colour, path
    bands: Sequence[dict[str, str]]
    edges: Sequence[str]  # x of the lines between layers
    names: Sequence[tuple[str, str]]  # x, text
    lines: Sequence[dict[str, str]]  # arena and budgets
    peak: dict[str, str]
    slanted: bool
    upper: str  # y up to which layers are marked off
    heading: str = ""  # of a panel that is compared with others, above its arena
    heading_y: str = ""
    figure: str = ""
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """A number of bytes beside the plans, for comparison."""

    label: str
    note: str
    nbytes: int


@dataclass
class Picture:
    """Panels with one scale of addresses, and bars beside them."""

    title: str
    subtitle: str
    width: int
    height: int
    top_bytes: int
    panels: list[Panel] = field(default_factory=list)
    bars: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def svg(self) -> str:
        box = self.panels[0].box
        ticks = [(number(box.y_of(value, self.top_bytes)), tick_text(value)) for value in ticks_of(self.top_bytes)]
        left = min([p.box.x for p in self.panels] + [float(b["x"]) for b in self.bars])
        right = max(p.box.x + p.box.width for p in self.panels)
        kinds = {shape.kind for panel in self.panels for shape in panel.shapes}
        banded = any(panel.bands for panel in self.panels)
        return render(
            "plan.svg.j2", picture=self, ticks=ticks, left=left, right=right, legend=legend(kinds, banded, left),
            xml=xml_text, number=number,
        )  # fmt: skip


def plan_picture(line: Timeline, title: str, budget: int | None = None) -> str:
    """The SVG of one plan. `budget`: bytes of RAM to draw a line at."""
    arena = line.plan.arena_bytes
    near = budget is not None and budget <= arena * FARTHEST
    top = top_of([arena, budget if budget is not None and near else 0])
    box = Box(LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
    picture = Picture(title, summary(line), WIDTH, HEIGHT, top)
    if budget is not None and not near:
        picture.notes.append(f"{size_text(budget)} of RAM: {arena / budget:.1%} of it")
    picture.panels.append(panel(line, box, top, budget if near else None, slanted=True))
    return picture.svg()


def comparison(title: str, subtitle: str, plans: Sequence[tuple[str, Timeline]], bar: Bar, height: int = 600) -> str:
    """The SVG of a bar and plans beside each other, with one scale of addresses."""
    top = top_of([bar.nbytes, *(line.plan.arena_bytes for _, line in plans)])
    picture = Picture(title, subtitle, WIDTH, height, top)
    down, tall, gap, wide = 70, height - 70 - 92, 34, 116
    full = Box(LEFT, down, wide, tall)
    y = full.y_of(bar.nbytes, top)
    picture.bars.append({
        "x": number(full.x), "y": number(y), "width": number(wide), "height": number(down + tall - y),
        "label": bar.label, "note": bar.note, "figure": f"{bar.nbytes:,}", "middle": number(full.x + wide / 2),
        "below": number(down + tall + 32),
    })  # fmt: skip
    rest = WIDTH - RIGHT - LEFT - wide - gap * len(plans)
    for index, (heading, line) in enumerate(plans):
        x = LEFT + wide + gap + index * (rest / len(plans) + gap)
        box = Box(x, down, rest / len(plans), tall)
        picture.panels.append(panel(line, box, top, None, slanted=False, heading=heading))
    return picture.svg()


def panel(line: Timeline, box: Box, top: int, budget: int | None, slanted: bool, heading: str = "") -> Panel:
    """One plan in a box; `top`: bytes at the box's upper edge. Names are slanted words, or numbers of nodes."""
    plan = line.plan
    scale = Scale.of(line, box, top, LABEL_GAP)
    found = labelled(shapes(line, scale), line, scale)
    arena_y = number(scale.y(plan.arena_bytes))
    lines = (
        [{"y": arena_y, "kind": "arena", "text": ""}]
        if heading
        else [{"y": arena_y, "kind": "arena", "text": f"arena {plan.arena_bytes:,} bytes"}]
    )
    if budget is not None:
        lines.append({"y": number(scale.y(budget)), "kind": "budget", "text": f"{size_text(budget)} of RAM"})
    used = {plan.memory_of(b.offset) for b in plan.buffers}
    for memory in (m for index, m in enumerate(plan.memories) if index in used - {0}):
        text = f"{memory.room.name}, {memory.nbytes:,} bytes, begins here"
        lines.append({"y": number(scale.y(memory.start)), "kind": "budget", "text": text})
    return Panel(
        box=box,
        shapes=found,
        calls=calls(line, scale),
        bands=bands_of(line, scale, named=not heading),
        edges=[number(x) for x in apart((scale.x(s.first) for s in line.segments[1:]), LEAST_EDGE)],
        names=names_of(line, scale, slanted),
        lines=lines,
        peak=peak_line(line, scale, bool(heading)),
        slanted=slanted,
        upper=arena_y if heading else number(box.y),
        heading=heading,
        heading_y=number(scale.y(plan.arena_bytes) - 52),
        figure=f"{plan.arena_bytes:,} bytes",
        note=how_it_runs(line),
    )


def bands_of(line: Timeline, scale: Scale, named: bool) -> list[dict[str, str]]:
    """Where layers take turns."""
    found = []
    for s in line.segments:
        if s.by_rows:
            start, end = scale.x(s.first), scale.x(s.last + 1)
            text = "row by row" if named and end - start > 64 else ""
            middle = number((start + end) / 2)
            found.append({"x": number(start), "width": number(end - start), "text": text, "middle": middle})
    return found


def names_of(line: Timeline, scale: Scale, slanted: bool) -> list[tuple[str, str]]:
    """Names along the time axis: of each layer, and of the nodes that take turns in between."""
    wanted: list[tuple[float, str]] = []
    for s in line.segments:
        start, end = scale.x(s.first), scale.x(s.last + 1)
        texts = [node_name(line, node, slanted) for node in s.nodes] or ["input"]
        if s.by_rows and len(texts) * scale.gap > end - start:
            texts = [f"{s.nodes[0]}-{s.nodes[-1]}" + (" by rows" if slanted else "")]
        wanted += [(start + (end - start) * (k + 0.5) / len(texts), text) for k, text in enumerate(texts)]
    texts_at = dict(wanted)
    return [(number(x), texts_at[x]) for x in apart(texts_at, scale.gap - 0.5)]


def apart(places: Iterable[float], gap: float) -> Iterator[float]:
    """Those of some rising places that lie at least so far behind the one before."""
    last = float("-inf")
    for x in places:
        if x - last >= gap:
            yield x
            last = x


def node_name(line: Timeline, node: int, slanted: bool) -> str:
    if not slanted:
        return str(node)
    op = line.plan.graph.nodes[node].op.lower().removesuffix("_2d").replace("_", " ")
    return f"{op if len(op) <= 17 else op[:15] + '..'} {node}"


def peak_line(line: Timeline, scale: Scale, short: bool) -> dict[str, str]:
    """A line through the worst moment, with its text above on the side where there is more room."""
    peak = line.peak
    x = (scale.x(peak.moment) + scale.x(peak.moment + 1)) / 2
    right = x < scale.box.x + scale.box.width / 2
    where = "at the end" if peak.node == AFTER else f"in node {peak.node}" if peak.node >= 0 else "while rows are fed"
    y = scale.y(line.plan.arena_bytes) - 6 if short else scale.box.y - 4
    return {
        "x": number(x), "y": number(y), "text": "" if short else f"largest moment: {peak.nbytes:,} bytes, {where}",
        "text_x": number(x + (4 if right else -4)), "text_y": number(y + 2), "anchor": "start" if right else "end",
    }  # fmt: skip


def summary(line: Timeline) -> str:
    plan = line.plan
    scratch = f", scratch up to {plan.scratch_bytes:,}" if plan.scratch_bytes else ""
    return f"arena {plan.arena_bytes:,} bytes, largest moment {line.peak.nbytes:,}{scratch}; {how_it_runs(line)}"


def how_it_runs(line: Timeline) -> str:
    streamed = sum(len(s.nodes) for s in line.segments if s.by_rows)
    layers = sum(len(s.nodes) for s in line.segments)
    how = f"{streamed} of {layers} layers run row by row" if streamed else f"{layers} layers, one after the other"
    return f"{how}, in {len(line.plan.runs):,} calls"


def legend(kinds: set[str], banded: bool, left: float) -> list[dict[str, Any]]:
    """What the drawing's signs mean: only those that occur."""
    entries = [("whole", "tensor")] if "whole" in kinds else []
    entries += [("ring", "ring: some rows at a time")] if "ring" in kinds else []
    entries += [("scratch", "scratch of a kernel")] if "scratch" in kinds else []
    entries += [("state", "state between calls")] if "state" in kinds else []
    entries += [("band", "layers that take turns, row by row")] if banded else []
    entries += [("peak", "largest moment"), ("calls", "the layer that runs")]
    found, x = [], left
    for kind, text in entries:
        found.append({"kind": kind, "text": text, "x": number(x)})
        x += 44 + 5.9 * len(text)
    return found


def xml_text(text: str) -> str:
    """Text for an XML document: names come from files and may hold anything."""
    return escape("".join(c if c.isprintable() else "?" for c in text), {'"': "&quot;"})


def top_of(sizes: Sequence[int]) -> int:
    """Bytes at the upper edge of the picture: a little more than the largest."""
    return max(16, round(max(sizes) * 1.06))


def ticks_of(top: int) -> list[int]:
    """Round addresses, four to nine of them."""
    step = 1
    while top / step > 9:
        step *= 2
    return list(range(0, top, step))


def tick_text(value: int) -> str:
    return f"{value // 1024} KiB" if value >= 1024 and value % 1024 == 0 else f"{value:,}"


__all__ = ["Bar", "Panel", "Picture", "comparison", "plan_picture"]
