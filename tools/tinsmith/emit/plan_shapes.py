"""What a panel shows of each buffer: one outline of all its blocks, a colour, a name where there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..plan.lifetimes import Buffer
from ..plan.memories import ADDRESSES
from ..timeline import Block, Timeline
from .plan_scale import Scale, number

# Of the tensors in the order of their birth; dark enough for white letters, neighbours unlike each other.
COLOURS = ("#2f6fb0", "#c8702a", "#2f8f74", "#7d5ba6", "#b8485a", "#4a86a0", "#8a7a2c", "#5d7a3a")
INPUT = "#5a6675"
FINE = 0.5  # pixels: what is smaller is drawn together with its neighbours
LETTER = 5.7  # pixels that a letter of a label takes
TALL, TALL_ROW = 13, 10  # pixels that a label needs, and in a single row of a ring
SHORTEST = 12  # letters of a cut name that still tell something

Pixels = tuple[float, float, float, float]  # left, upper, right, lower edge
NOWHERE: Pixels = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Shape:
    """A buffer as the template draws it."""

    index: int  # in the plan
    kind: str
    colour: str
    path: str
    outline: tuple[str, str, str, str]  # x, y, width, height of all of it
    lined: bool  # whether lines between its blocks can be seen
    title: str
    label: str = ""
    label_x: str = ""
    label_y: str = ""


def shapes(line: Timeline, scale: Scale) -> list[Shape]:
    """All buffers, those that live later on top: they overwrite. Addresses of memories are too few bytes to be seen."""
    colours = colours_of(line)
    drawn = [i for i, b in enumerate(line.plan.buffers) if b.name != ADDRESSES]
    order = sorted(drawn, key=lambda i: (line.plan.buffers[i].first, i))
    return [shape(line, scale, i, colours) for i in order]


def colours_of(line: Timeline) -> Mapping[str, str]:
    tensors = sorted((b for b in line.plan.buffers if b.name in line.plan.sizes), key=lambda b: b.first)
    made = [b.name for b in tensors if b.name not in line.plan.graph.inputs]
    return {b.name: INPUT for b in tensors} | {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(made)}


def shape(line: Timeline, scale: Scale, index: int, colours: Mapping[str, str]) -> Shape:
    buffer = line.plan.buffers[index]
    blocks = line.blocks[buffer.name]
    boxes = merged(blocks, scale)
    x0, x1 = min(b[0] for b in boxes), max(b[2] for b in boxes)
    y0, y1 = scale.y(buffer.end), scale.y(buffer.offset)
    kind = line.kind(buffer)
    path = "".join(f"M{number(a)} {number(b)}H{number(c)}V{number(d)}H{number(a)}z" for a, b, c, d in boxes)
    lined = kind == "ring" and (y1 - y0) / buffer.rows > 2.5
    colour = colours[line.plan.roots.get(line.owner(buffer), buffer.name)]
    outline = (number(x0), number(y0), number(x1 - x0), number(y1 - y0))
    return Shape(index, kind, colour, path, outline, lined, tooltip(line, buffer))


def merged(blocks: Sequence[Block], scale: Scale) -> list[Pixels]:
    """Blocks in pixels. Rows too thin to be seen become one, and so do spans with hardly anything between them."""
    groups: list[list[Block]] = []
    for block in sorted(blocks, key=lambda b: (b.start, b.first)):
        thin = groups and scale.y(groups[-1][0].start) - scale.y(block.end) < FINE
        if groups and (thin or groups[-1][-1].start == block.start):
            groups[-1].append(block)
        else:
            groups.append([block])
    found: list[Pixels] = []
    for group in groups:
        upper, lower = scale.y(max(b.end for b in group)), scale.y(group[0].start)
        row: list[Pixels] = []
        for block in sorted(group, key=lambda b: b.first):
            left, right = scale.x(block.first), scale.x(block.last + 1)
            gap = left - row[-1][2] if row else FINE
            tiny = row and (right - left < FINE or row[-1][2] - row[-1][0] < FINE)
            if row and (gap < 0 or (tiny and gap < FINE) or 0 < gap < FINE):
                row[-1] = (row[-1][0], upper, max(right, row[-1][2]), lower)
            else:
                row.append((left, upper, right, lower))
        found += row
    return found


def labelled(found: Sequence[Shape], line: Timeline, scale: Scale) -> list[Shape]:
    """Names on the buffers that have room for them."""
    boxes = {item.index: merged(line.blocks[line.plan.buffers[item.index].name], scale) for item in found}
    result = []
    for place, item in enumerate(found):
        spot = NOWHERE
        if item.kind == "whole":
            spot = room(boxes[item.index], TALL)
        elif item.kind == "ring":  # a label across two rows would be struck through
            spot = room([box for box in boxes[item.index] if box[3] - box[1] >= TALL_ROW], TALL_ROW)
        for later in found[place + 1 :]:
            spot = uncovered(spot, boxes[later.index])
        x0, y0, x1, y1 = spot
        letters = int((x1 - x0 - 8) / LETTER)
        text = label_of(line, line.plan.buffers[item.index], letters)
        if text:
            item = replace(item, label=text, label_x=number((x0 + x1) / 2), label_y=number((y0 + y1) / 2 + 3.7))
        result.append(item)
    return result


def uncovered(spot: Pixels, boxes: Sequence[Pixels]) -> Pixels:
    """The part of a rectangle that is left of what is drawn over it."""
    left, upper, right, lower = spot
    for x0, y0, x1, y1 in boxes if right > left else ():
        if x0 < right and x1 > left and y0 < lower and y1 > upper:
            right = x0
    return left, upper, right, lower


def room(boxes: Sequence[Pixels], tall: float) -> Pixels:
    """The widest rectangle inside blocks that is tall enough for a label."""
    best = NOWHERE
    rows = sorted(boxes, key=lambda b: -b[3])
    for i, (left, upper, right, lower) in enumerate(rows):
        for other in rows[i:]:
            if other[3] > upper + 0.01 and other is not rows[i]:
                continue  # beside the one below, not above it
            left, upper, right = max(left, other[0]), min(upper, other[1]), min(right, other[2])
            if right - left <= best[2] - best[0]:
                break
            if lower - upper >= tall:
                best = (left, upper, right, lower)
                break
    return best


def label_of(line: Timeline, buffer: Buffer, most: int) -> str:
    """The first telling part of a tensor's name (converters join the names of everything they fused), or the number of
    the node that writes it, or nothing: in so many letters."""
    parts = [part for part in buffer.name.split(";")[0].split("/") if part] or [buffer.name]
    while len(parts) > 1 and len("/".join(parts)) > most:
        del parts[-1 if len(parts) == 2 else 0]
    text = "/".join(parts)
    if len(text) <= most:
        return text
    if most >= SHORTEST:
        return f"{text[: most - 1]}\u2026"
    number = str(buffer.first) if buffer.first >= 0 else "input"
    return number if len(number) <= most else ""


def tooltip(line: Timeline, buffer: Buffer) -> str:
    kind, rows = line.kind(buffer), line.rows_in_all(buffer)
    held = f", {buffer.rows} of {rows} rows of {buffer.row_bytes:,} bytes" if kind == "ring" else ""
    return f"{buffer.name}: {kind}, {buffer.nbytes:,} bytes at {buffer.offset:,}{held}"


def calls(line: Timeline, scale: Scale) -> list[tuple[str, str]]:
    """The strip below the axis: who runs when, in the colour of what it writes."""
    colours, plan = colours_of(line), line.plan
    found: list[tuple[str, float, float]] = []
    for moment, node in enumerate(line.nodes[:-1]):
        colour = colours[plan.roots[plan.graph.nodes[node].outputs[0]]] if node >= 0 else INPUT
        left, right = scale.x(moment), scale.x(moment + 1)
        if found and (found[-1][0] == colour or found[-1][2] - found[-1][1] < FINE):
            found[-1] = (found[-1][0], found[-1][1], right)
        else:
            found.append((colour, left, right))
    y, height = scale.box.bottom + 5, 9
    return [(c, f"M{number(a)} {number(y)}H{number(b)}v{height}H{number(a)}z") for c, a, b in found]
