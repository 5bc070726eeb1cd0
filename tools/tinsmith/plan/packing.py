"""Where buffers lie: each is a rigid set of stretches, and no two stretches that are alive together may meet.

For every pair of buffers that follows as a few open intervals of forbidden distances. Overwriting consumed input, rings
within dead input, in-place execution: all are distances that no interval forbids.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from .lifetimes import Buffer

ALIGNMENT = 4  # TIN_ARENA_ALIGN
SEARCH_STEPS = 1500  # tries of the local search from each order of packing
PATIENCE, IMPATIENCE = 400, 300  # steps without success that end a search, and one in a hurry
SEARCH_LIMIT = 400_000_000  # steps times buffers to the third, so that large graphs do not wait

Interval = tuple[int, int]  # open: its ends are allowed
Forbidden = tuple[Interval, ...]  # of (offset of the other buffer - own offset), rising, apart from each other
Distance = tuple[int, int, int]  # another thing, and an open interval of its offset less one's own


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
    if not own.moments & other.moments:
        return ()
    return union(
        (a.start - b.end, a.end - b.start)
        for a in own.stretches
        if a.moments & other.moments
        for b in other.stretches
        if a.moments & b.moments
    )


@dataclass(frozen=True)
class Packing:
    offsets: Sequence[int]
    size: int
    name: str  # how it was found
    order: Sequence[int] = ()  # in which things were put
    turns: Sequence[int] = ()  # when each of them was
    high: frozenset[int] = frozenset()  # those that were put at the highest free place
    below: int = 0  # where that had to end


@dataclass(frozen=True, eq=False)
class Packer:
    """Things that are put into an arena one by one."""

    sizes: Sequence[int]
    near: Sequence[Sequence[Distance]]  # for each thing: the distances at which it would collide with others

    def pack(self, order: Sequence[int], name: str, high: frozenset[int] = frozenset(), below: int = 0) -> Packing:
        """Puts each thing at the lowest free place, in the given order; those in `high` at the highest that ends
        `below`."""
        offsets, turns = [0] * len(order), turns_of(order)
        self.put(offsets, order, turns, high, below, bytearray(b"\1" * len(order)), None)
        return Packing(offsets, self.end(offsets), name, order, turns, high, below)

    def repack(
        self, like: Packing, moved: Collection[int], order: Sequence[int], high: frozenset[int], below: int
    ) -> Packing | None:
        """The same as `like` but for the things in `moved`, and what gives way to them; None if that is larger."""
        turns, stale = turns_of(order), bytearray(len(order))
        for i in moved:
            stale[i] = 1
            for j, _, _ in self.near[i]:
                if (turns[j] < turns[i]) != (like.turns[j] < like.turns[i]):
                    stale[j] = 1
        for i in high if below != like.below else ():
            stale[i] = 1
        offsets = list(like.offsets)
        if not self.put(offsets, order, turns, high, below, stale, like.size):
            return None
        return Packing(offsets, self.end(offsets), "local search", order, turns, high, below)

    def put(
        self, offsets: list[int], order: Sequence[int], turns: Sequence[int], high: frozenset[int], below: int,
        stale: bytearray, limit: int | None,
    ) -> bool:  # fmt: skip
        """Puts what is `stale`, and what it makes so; gives up beyond `limit`."""
        for i in order:
            if not stale[i]:
                continue
            # The place of i relative to a placed j must avoid an interval, so free places begin at its ends.
            turn, own = turns[i], self.sizes[i]
            taken = [(offsets[j] - top, offsets[j] - low) for j, low, top in self.near[i] if turns[j] < turn]
            place = highest(taken, below - own) if i in high else -1
            if place < 0:
                place = lowest(taken)
            if limit is not None and place + own > limit:
                return False
            if place != offsets[i]:
                offsets[i] = place
                for j, _, _ in self.near[i]:
                    stale[j] = 1
        return True

    def end(self, offsets: Sequence[int]) -> int:
        return max(place + own for place, own in zip(offsets, self.sizes, strict=True))


def turns_of(order: Sequence[int]) -> list[int]:
    turns = [0] * len(order)
    for turn, i in enumerate(order):
        turns[i] = turn
    return turns


def best_packing(
    buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]], quick: bool = False
) -> Packing:
    """The smallest arena found, from several orders of packing."""
    if not buffers:
        return Packing((), 0, "nothing to pack")
    packer = packer_of(buffers, forbidden)
    starts = simple_packings(packer, buffers, forbidden)
    best, rng = starts[0], random.Random(1)
    for start in starts:
        best = local_search(packer, start, best, rng, quick)
    return best


def packer_of(buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]]) -> Packer:
    near = [[(j, low, top) for j, found in others.items() for low, top in found] for others in forbidden]
    return Packer([b.nbytes for b in buffers], near)


def simple_packings(
    packer: Packer, buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]]
) -> list[Packing]:
    """What several orders of packing give at once, the smallest first. `packer`: packer_of the same."""
    indices = range(len(buffers))
    orders = {
        "largest first": sorted(indices, key=lambda i: (-buffers[i].nbytes, buffers[i].first)),
        "most crowded first": sorted(indices, key=lambda i: (-sum(buffers[j].nbytes for j in forbidden[i]), i)),
        "in order of birth": sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].nbytes)),
        "in order of death": sorted(indices, key=lambda i: (-buffers[i].last, -buffers[i].nbytes)),
        "longest lived first": sorted(indices, key=lambda i: (buffers[i].first - buffers[i].last, -buffers[i].nbytes)),
    }
    return sorted((packer.pack(order, name) for name, order in orders.items()), key=lambda packing: packing.size)


def local_search(packer: Packer, current: Packing, best: Packing, rng: random.Random, quick: bool) -> Packing:
    """Moves single buffers within an order, or to the arena's other end, and returns the best packing seen.

    Half of the moves are of buffers at the arena's end, or of those beside them: they decide. Seed and number of steps
    are fixed, so that a model always gets the same plan.
    """
    sizes, count, floor = packer.sizes, len(packer.sizes), max(packer.sizes)
    idle = 0
    for _ in range(min(SEARCH_STEPS, SEARCH_LIMIT // count**3 + 1) if count > 1 else 0):
        idle += 1
        if best.size <= floor or idle > (IMPATIENCE if quick else PATIENCE):
            break
        moved, order, high = rng.randrange(count), list(current.order), current.high
        if rng.random() < 0.3:
            high = high ^ {moved}
        else:
            if rng.random() < 0.5:
                limit = current.size - 2 * ALIGNMENT
                moved = rng.choice([i for i in current.order if current.offsets[i] + sizes[i] > limit])
                beside = list(dict.fromkeys(j for j, _, _ in packer.near[moved]))
                moved = rng.choice(beside) if beside and rng.random() < 0.5 else moved
            order.remove(moved)
            order.insert(rng.randrange(count), moved)
        found = packer.repack(current, (moved,), order, high, best.size - ALIGNMENT)
        if found:
            idle = 0 if found.size < current.size else idle
            current = found
            best = min(best, found, key=lambda packing: packing.size)
    return best


def lowest(taken: list[Interval]) -> int:
    """The lowest place outside of all intervals."""
    place = 0
    taken.sort()
    for start, end in taken:
        if start >= place:
            break
        if place < end:
            place = -(-end // ALIGNMENT) * ALIGNMENT
    return place


def highest(taken: list[Interval], limit: int) -> int:
    """The highest one up to `limit`, or a negative number."""
    place = limit // ALIGNMENT * ALIGNMENT
    taken.sort(key=itemgetter(1), reverse=True)
    for start, end in taken:
        if end <= place:
            break
        if start < place:
            place = start // ALIGNMENT * ALIGNMENT
    return place
