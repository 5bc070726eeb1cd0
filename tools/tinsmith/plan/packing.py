"""Where buffers lie: each is a rigid set of stretches, and no two stretches that are alive together may meet.

For every pair of buffers that follows as a few open intervals of forbidden distances. Overwriting consumed input, rings
within dead input, in-place execution: all are distances that no interval forbids.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .lifetimes import Buffer

ALIGNMENT = 4  # TIN_ARENA_ALIGN
SEARCH_STEPS = 1500  # tries of the local search from each order of packing
PATIENCE, IMPATIENCE = 400, 300  # steps without success that end a search, and one in a hurry
SEARCH_LIMIT = 400_000_000  # steps times buffers to the third, so that large graphs do not wait

Interval = tuple[int, int]  # open: its ends are allowed
Forbidden = tuple[Interval, ...]  # of (offset of the other buffer - own offset), rising, apart from each other


def union(intervals: Iterable[Interval]) -> Forbidden:
    """Overlapping intervals joined. Two that only touch leave one distance free."""
    found: list[Interval] = []
    for low, high in sorted(intervals):
        if found and low < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        elif low < high:
            found.append((low, high))
    return tuple(found)


def intersection(a: Forbidden, b: Forbidden) -> Forbidden:
    return union((max(p, r), min(q, s)) for p, q in a for r, s in b if max(p, r) < min(q, s))


def negative(intervals: Forbidden) -> Forbidden:
    """The same seen from the other buffer."""
    return tuple((-high, -low) for low, high in reversed(intervals))


def collisions(own: Buffer, other: Buffer) -> Forbidden:
    """Distances at which stretches of both that are alive together would meet."""
    ever = 0
    for b in other.stretches:
        ever |= b.moments
    return union(
        (a.start - b.end, a.end - b.start)
        for a in own.stretches
        if a.moments & ever
        for b in other.stretches
        if a.moments & b.moments
    )


@dataclass(frozen=True)
class Packing:
    offsets: tuple[int, ...]
    size: int
    name: str  # how it was found
    order: tuple[int, ...] = ()  # in which buffers were put
    high: frozenset[int] = frozenset()  # those that were put at the highest free place
    below: int = 0  # where that had to end


def best_packing(buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]], quick: bool = False) -> Packing:
    """The smallest arena found, from several orders of packing."""
    tried = simple_packings(buffers, forbidden)
    best, rng = tried[0][1], random.Random(1)
    for order, start in tried if buffers else ():
        best = local_search(order, start, best, buffers, forbidden, rng, quick)
    return best


def simple_packings(
    buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]]
) -> list[tuple[list[int], Packing]]:
    """Orders and the packings that they give at once, the smallest first."""
    if not buffers:
        return [([], Packing((), 0, "nothing to pack"))]
    indices = range(len(buffers))
    orders = {
        "largest first": sorted(indices, key=lambda i: (-buffers[i].nbytes, buffers[i].first)),
        "most crowded first": sorted(indices, key=lambda i: (-sum(buffers[j].nbytes for j in forbidden[i]), i)),
        "in order of birth": sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].nbytes)),
        "in order of death": sorted(indices, key=lambda i: (-buffers[i].last, -buffers[i].nbytes)),
        "longest lived first": sorted(indices, key=lambda i: (buffers[i].first - buffers[i].last, -buffers[i].nbytes)),
    }
    tried = [(order, pack(order, buffers, forbidden, name)) for name, order in orders.items()]
    return sorted(tried, key=lambda entry: entry[1].size)


def local_search(
    order: list[int], current: Packing, best: Packing, buffers: Sequence[Buffer],
    forbidden: Sequence[dict[int, Forbidden]], rng: random.Random, quick: bool,
) -> Packing:  # fmt: skip
    """Moves single buffers within an order, or to the arena's other end, and returns the best packing seen.

    Half of the moves are of buffers at the arena's end, or of those beside them: they decide. Seed and number of steps
    are fixed, so that a model always gets the same plan.
    """
    count, high, floor = len(order), frozenset[int](), max(b.nbytes for b in buffers)
    idle = 0
    for _ in range(min(SEARCH_STEPS, SEARCH_LIMIT // count**3 + 1) if count > 1 else 0):
        idle += 1
        if best.size <= floor or idle > (IMPATIENCE if quick else PATIENCE):
            break
        moved, new_order, new_high = rng.randrange(count), list(order), high
        if rng.random() < 0.3:
            new_high = high ^ {moved}
        else:
            if rng.random() < 0.5:
                ends = [i for i in order if current.offsets[i] + buffers[i].nbytes > current.size - 2 * ALIGNMENT]
                moved = rng.choice(ends)
                beside = list(forbidden[moved])
                moved = rng.choice(beside) if beside and rng.random() < 0.5 else moved
            new_order.remove(moved)
            new_order.insert(rng.randrange(count), moved)
        found = pack(new_order, buffers, forbidden, "local search", new_high, best.size - ALIGNMENT, current)
        idle = 0 if found.size < current.size else idle
        if found.size <= current.size:
            order, high, current = new_order, new_high, found
        if found.size < best.size:
            best = found
    return best


def pack(
    order: Sequence[int], buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]], name: str,
    high: frozenset[int] = frozenset(), below: int = 0, like: Packing | None = None,
) -> Packing:  # fmt: skip
    """Puts each buffer at the lowest free place, in the given order; those in `high` at the highest that ends `below`.

    Buffers that come first in `like` too keep their places; what becomes larger than that is given up.
    """
    same = 0 if like is None else alike(order, high, below, like)
    offsets = {i: like.offsets[i] for i in order[:same]} if like else {}
    for i in order[same:]:
        # The place of i relative to a placed j must avoid an interval, so free places begin at its ends.
        taken = sorted(
            (offsets[j] - top, offsets[j] - low)
            for j, intervals in forbidden[i].items()
            if j in offsets
            for low, top in intervals
        )
        place = highest(taken, below - buffers[i].nbytes) if i in high else -1
        offsets[i] = place if place >= 0 else lowest(taken)
        if like and offsets[i] + buffers[i].nbytes > like.size:
            return Packing((), offsets[i] + buffers[i].nbytes, name)
    most = max(offsets[i] + buffers[i].nbytes for i in order)
    return Packing(tuple(offsets[i] for i in range(len(buffers))), most, name, tuple(order), high, below)


def alike(order: Sequence[int], high: frozenset[int], below: int, like: Packing) -> int:
    """How many buffers of an order come to lie where they do in another packing."""
    for k, (i, other) in enumerate(zip(order, like.order, strict=True)):
        if i != other or (i in high) != (i in like.high) or (i in high and below != like.below):
            return k
    return len(order)


def lowest(taken: Sequence[Interval]) -> int:
    place = 0
    for start, end in taken:
        if start < place < end:
            place = -(-end // ALIGNMENT) * ALIGNMENT
    return place


def highest(taken: Sequence[Interval], limit: int) -> int:
    """The highest free place up to `limit`, or a negative number."""
    place = limit // ALIGNMENT * ALIGNMENT
    for start, end in sorted(taken, key=lambda interval: -interval[1]):
        if start < place < end:
            place = start // ALIGNMENT * ALIGNMENT
    return place
