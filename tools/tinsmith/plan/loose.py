"""Rows of rings that lie each at a place of its own, which a table in flash tells.

All slots of a ring are hardly ever needed at once: one waits for the row that comes next. But which one it is changes
from row to row, so nothing that keeps its place can make use of it. Rows that may lie anywhere can: a new row takes the
place of one that just died, in whatever ring that was. Packing then comes close to the bytes that are alive.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .lifetimes import ROW_UNIT, Buffer, History, Stretch, mask
from .packing import ALIGNMENT, Distance, Forbidden, Packer, Packing, best_packing, collisions, negative

SEARCH_STEPS = 800  # tries of the local search from each start
STARTS = 3  # orders of packing that it begins with
SEARCH_LIMIT = 320_000  # steps times pieces, so that large graphs do not wait
FEW_STEPS = 80  # where there is little time
PATIENCE = 150  # steps without success that end a search
MOST_PIECES = 1500  # that are looked at in pairs
RANDOM_MOVES = 0.3  # share of moves of any buffer
BESIDE = 0.7  # of the others: share of those of buffers beside the arena's end
SIZE_CLASS = 512  # bytes within which rows are packed by birth alone
MOST_BYTES = ROW_UNIT * 0xFFFF  # of an arena: tables hold words of 16 bits
LEAST_GAIN = 0.01  # of an arena; for less, tables are not worth their flash


@dataclass(frozen=True)
class Piece:
    """What is put somewhere as a whole: a buffer, or a row of one."""

    owner: int  # buffer
    row: int  # -1: all of it
    born: int
    body: Buffer


def loosen(buffers: Sequence[Buffer], past: History) -> set[int]:
    """The buffers whose rows may lie anywhere: the rings."""
    rows = past.rows
    return {i for i, b in enumerate(buffers) if b.name in rows and 1 <= b.rows < len(rows[b.name].born)}


def pieces_of(buffers: Sequence[Buffer], past: History, loose: set[int]) -> Iterator[Piece]:
    for i, buffer in enumerate(buffers):
        if i not in loose:
            yield Piece(i, -1, (buffer.moments & -buffer.moments).bit_length(), buffer)
            continue
        rows = past.rows[buffer.name]
        for row, (born, dead) in enumerate(zip(rows.born, rows.dead, strict=True)):
            if born >= 0:
                stretch = Stretch(0, rows.nbytes, mask(born, dead))
                yield Piece(i, row, born + 1, replace(buffer, rows=1, stretches=(stretch,)))


def neighbours(pieces: Sequence[Piece], forbidden: Sequence[Mapping[int, Forbidden]]) -> list[list[Distance]]:
    """For each piece: the distances at which it would collide with others that are alive at the same time."""
    moments = [piece.body.moments for piece in pieces]
    found: list[list[Distance]] = [[] for _ in pieces]
    for i, own in enumerate(pieces):
        for j in range(i):
            if not moments[i] & moments[j]:
                continue
            other = pieces[j]
            if own.row < 0 and other.row < 0:
                intervals = forbidden[own.owner].get(other.owner, ())
            else:
                intervals = collisions(own.body, other.body)
            found[i] += [(j, low, high) for low, high in intervals]
            found[j] += [(i, low, high) for low, high in negative(intervals)]
    return found


def among(forbidden: Sequence[Mapping[int, Forbidden]], chosen: Sequence[int]) -> list[dict[int, Forbidden]]:
    """The same for some of the buffers only."""
    index = {i: k for k, i in enumerate(chosen)}
    return [{index[j]: found for j, found in forbidden[i].items() if j in index} for i in chosen]


@dataclass(frozen=True, eq=False)
class Trial:
    """A packing, and the ranks by which its pieces were put."""

    ranks: Sequence[int]
    packing: Packing


class Puzzle:
    """Pieces to be packed in the order of their buffers' ranks, then of birth."""

    def __init__(self, buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]], past: History) -> None:
        self.buffers, self.forbidden = buffers, forbidden
        self.pieces = list(pieces_of(buffers, past, loosen(buffers, past)))
        self.packer = Packer([piece.body.nbytes for piece in self.pieces], neighbours(self.pieces, forbidden))
        self.births = sorted(range(len(self.pieces)), key=lambda k: self.pieces[k].born)
        self.owners = [piece.owner for piece in self.pieces]
        self.owned = [frozenset(k for k, owner in enumerate(self.owners) if owner == i) for i in range(len(buffers))]

    def order(self, ranks: Sequence[int]) -> list[int]:
        """Pieces in the order in which they are packed."""
        return sorted(self.births, key=lambda k: ranks[self.owners[k]])

    def starts(self, rigid: Packing) -> Iterator[tuple[list[int], frozenset[int]]]:
        """Ranks to begin with, and buffers that go to the arena's other end: by size, by classes of sizes, and those of
        the packing of whole rings."""
        loose = {piece.owner for piece in self.pieces if piece.row >= 0}
        sizes = [b.row_bytes if i in loose else b.nbytes for i, b in enumerate(self.buffers)]
        yield [-size for size in sizes], frozenset()
        yield [-(size // SIZE_CLASS) for size in sizes], frozenset()
        yield [rigid.turns[i] for i in range(len(sizes))], rigid.high
        large = max(sizes) // 3
        yield [1 if i in loose else 0 if size > large else 2 for i, size in enumerate(sizes)], frozenset()
        firm = [i for i in range(len(sizes)) if i not in loose]
        found = best_packing([self.buffers[i] for i in firm], among(self.forbidden, firm), quick=True)
        ranks = [len(firm)] * len(sizes)
        for rank, k in enumerate(found.order):
            ranks[firm[k]] = rank
        yield ranks, frozenset(firm[k] for k in found.high)

    def solve(self, rigid: Packing, quick: bool) -> Packing:
        """The smallest packing found, by local search from the best starts. Seed and number of steps are fixed."""
        steps, starts = (FEW_STEPS, 1) if quick else (SEARCH_STEPS, STARTS)
        rng = random.Random(1)
        tried = [
            Trial(ranks, self.packer.pack(self.order(ranks), "by rank", self.pieces_of(high), rigid.size))
            for ranks, high in self.starts(rigid)
        ]
        tried.sort(key=lambda trial: trial.packing.size)
        best = tried[0].packing
        for current in tried[:starts]:
            idle = 0
            for _ in range(min(steps, SEARCH_LIMIT // len(self.pieces))):
                idle += 1
                if idle > PATIENCE:
                    break
                found = self.moved(rng, current, best.size - ALIGNMENT)
                if found:
                    idle = 0 if found.packing.size < current.packing.size else idle
                    current = found
                    best = min(best, found.packing, key=lambda packing: packing.size)
        return best

    def pieces_of(self, buffers: Iterable[int]) -> frozenset[int]:
        return frozenset(k for i in buffers for k in self.owned[i])

    def moved(self, rng: random.Random, current: Trial, below: int) -> Trial | None:
        """The packing if one or two buffers get another rank, or go to the arena's other end; None if it is larger."""
        ranks, high, moved = list(current.ranks), current.packing.high, frozenset[int]()
        for _ in range(1 if rng.random() < 0.75 else 2):
            chosen = self.chosen(rng, current.packing)
            moved |= self.owned[chosen]
            if rng.random() < 0.4:
                high = high ^ self.owned[chosen]
            else:
                ranks[chosen] = ranks[rng.randrange(len(ranks))] + rng.choice((-1, 0, 1))
        found = self.packer.repack(current.packing, moved, self.order(ranks), high, below)
        return Trial(ranks, found) if found else None

    def chosen(self, rng: random.Random, current: Packing) -> int:
        """A buffer to move: often one at the arena's end, or one beside it: they decide."""
        if rng.random() < RANDOM_MOVES:
            return rng.randrange(len(self.buffers))
        limit, sizes = current.size - 2 * ALIGNMENT, self.packer.sizes
        piece = rng.choice([i for i, place in enumerate(current.offsets) if place + sizes[i] > limit])
        if self.packer.near[piece] and rng.random() < BESIDE:
            piece = rng.choice(self.packer.near[piece])[0]
        return self.owners[piece]


def loose_packing(
    buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]], past: History, rigid: Packing, quick: bool
) -> tuple[Buffer, ...] | None:
    """The buffers where they lie if rows may lie anywhere; None if that hardly saves anything."""
    loose = loosen(buffers, past)
    count = sum(len(past.rows[buffers[i].name].born) for i in loose) + len(buffers)
    if not loose or count > MOST_PIECES or rigid.size > MOST_BYTES:
        return None
    puzzle = Puzzle(buffers, forbidden, past)
    found = puzzle.solve(rigid, quick)
    if found.size > rigid.size * (1 - LEAST_GAIN):
        return None
    rows: list[dict[int, int]] = [{} for _ in buffers]
    for piece, place in zip(puzzle.pieces, found.offsets, strict=True):
        rows[piece.owner][piece.row] = place
    return tuple(put(b, places, past) for b, places in zip(buffers, rows, strict=True))


def put(buffer: Buffer, places: Mapping[int, int], past: History) -> Buffer:
    """A buffer at its place, or one whose rows lie at `places`: a ring nevertheless, if that is what they make."""
    if -1 in places:
        return replace(buffer, offset=places[-1])
    base = min(places.values())
    ring = {row: base + row % buffer.rows * buffer.row_bytes for row in places}
    if ring == places:
        return replace(buffer, offset=base)
    rows = past.rows[buffer.name]
    alive: dict[int, int] = {}
    for row, place in places.items():
        alive[place - base] = alive.get(place - base, 0) | mask(rows.born[row], rows.dead[row])
    stretches = tuple(Stretch(start, start + buffer.row_bytes, alive[start]) for start in sorted(alive))
    table = tuple(places.get(row, base) - base for row in range(len(rows.born)))
    return replace(buffer, offset=base, stretches=stretches, places=table)
