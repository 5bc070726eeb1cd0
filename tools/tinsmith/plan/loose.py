"""Rows of rings that lie each at a place of its own, which a table in flash tells.

All slots of a ring are hardly ever needed at once: one waits for the row that comes next. But which one it is changes
from row to row, so nothing that keeps its place can make use of it. Rows that may lie anywhere can: a new row takes the
place of one that just died, in whatever ring that was. Packing then comes close to the bytes that are alive.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .lifetimes import ROW_UNIT, Buffer, History, Stretch, mask
from .packing import ALIGNMENT, Forbidden, Packing, best_packing, collisions, highest, lowest, negative

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

Distance = tuple[int, int, int]  # another piece, and an open interval of its offset less one's own


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
            moments = ever(buffer)
            yield Piece(i, -1, (moments & -moments).bit_length(), buffer)
            continue
        rows = past.rows[buffer.name]
        for row, (born, dead) in enumerate(zip(rows.born, rows.dead, strict=True)):
            if born >= 0:
                stretch = Stretch(0, rows.nbytes, mask(born, dead))
                yield Piece(i, row, born + 1, replace(buffer, rows=1, stretches=(stretch,)))


def ever(buffer: Buffer) -> int:
    """All moments at which some of a buffer is alive."""
    moments = 0
    for stretch in buffer.stretches:
        moments |= stretch.moments
    return moments


def neighbours(pieces: Sequence[Piece], forbidden: Sequence[Mapping[int, Forbidden]]) -> list[list[Distance]]:
    """For each piece: the distances at which it would collide with others that are alive at the same time."""
    moments = [ever(piece.body) for piece in pieces]
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


@dataclass(frozen=True)
class Packed:
    """Where pieces lie, and how they came there."""

    size: int
    places: Sequence[int]
    ranks: Sequence[int]
    high: frozenset[int]
    order: Sequence[int]
    limit: int  # below which those in `high` were put


def kept(pieces: Sequence[Piece], order: Sequence[int], high: frozenset[int], limit: int, like: Packed) -> int:
    """How many pieces of an order come to lie where they do in another packing."""
    for k, (i, other) in enumerate(zip(order, like.order, strict=True)):
        owner = pieces[i].owner
        up = owner in high
        if i != other or like.places[i] < 0 or up != (owner in like.high) or (up and limit != like.limit):
            return k
    return len(order)


class Puzzle:
    """Pieces to be packed in the order of their buffers' ranks, then of birth."""

    def __init__(self, buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]], past: History) -> None:
        self.buffers, self.forbidden = buffers, forbidden
        self.pieces = list(pieces_of(buffers, past, loosen(buffers, past)))
        self.near = neighbours(self.pieces, forbidden)
        self.sizes = [piece.body.nbytes for piece in self.pieces]

    def pack(self, ranks: Sequence[int], high: frozenset[int], size: int, limit: int, like: Packed | None) -> Packed:
        """Puts each piece at the lowest free place, or if its buffer is in `high`, at the highest below `size`; gives
        up beyond `limit`. Pieces that come first in `like` too keep their places."""
        pieces, sizes, places = self.pieces, self.sizes, [-1] * len(self.pieces)
        order = sorted(range(len(pieces)), key=lambda k: (ranks[pieces[k].owner], pieces[k].born))
        start = 0 if like is None else kept(pieces, order, high, size, like)
        if like is not None:
            for i in order[:start]:
                places[i] = like.places[i]
        most = max((places[i] + sizes[i] for i in order[:start]), default=0)
        for i in order[start:]:
            taken = [(places[j] - top, places[j] - low) for j, low, top in self.near[i] if places[j] >= 0]
            taken.sort()
            place = highest(taken, size - sizes[i]) if pieces[i].owner in high else -1
            places[i] = place if place >= 0 else lowest(taken)
            most = max(most, places[i] + sizes[i])
            if most > limit:
                break
        return Packed(most, places, list(ranks), high, order, size)

    def starts(self, rigid: Packing) -> Iterator[tuple[list[int], frozenset[int]]]:
        """Ranks to begin with: by size, by classes of sizes, and those of the packing of whole rings."""
        sizes = [b.nbytes if not any(p.row >= 0 for p in self.pieces if p.owner == i) else b.row_bytes
                 for i, b in enumerate(self.buffers)]  # fmt: skip
        yield [-size for size in sizes], frozenset()
        yield [-(size // SIZE_CLASS) for size in sizes], frozenset()
        yield [rigid.order.index(i) for i in range(len(sizes))], rigid.high
        loose = {piece.owner for piece in self.pieces if piece.row >= 0}
        large = max(sizes) // 3
        yield [1 if i in loose else 0 if size > large else 2 for i, size in enumerate(sizes)], frozenset()
        firm = [i for i in range(len(sizes)) if i not in loose]
        found = best_packing([self.buffers[i] for i in firm], among(self.forbidden, firm), quick=True)
        ranks = [len(firm)] * len(sizes)
        for rank, k in enumerate(found.order):
            ranks[firm[k]] = rank
        yield ranks, frozenset(firm[k] for k in found.high)

    def solve(self, rigid: Packing, quick: bool) -> Packed:
        """The smallest packing found, by local search from the best starts. Seed and number of steps are fixed."""
        steps, starts = (FEW_STEPS, 1) if quick else (SEARCH_STEPS, STARTS)
        rng, most = random.Random(1), rigid.size
        tried = [self.pack(ranks, high, most, 2 * most, None) for ranks, high in self.starts(rigid)]
        tried.sort(key=lambda packed: packed.size)
        best = tried[0]
        for start in tried[:starts]:
            current, idle = start, 0
            for _ in range(min(steps, SEARCH_LIMIT // len(self.pieces))):
                idle += 1
                if idle > PATIENCE:
                    break
                ranks, high = self.moved(rng, current)
                found = self.pack(ranks, high, best.size - ALIGNMENT, current.size, current)
                if found.size < current.size:
                    idle = 0
                if found.size <= current.size:
                    current = found
                if found.size < best.size:
                    best = found
        return best

    def moved(self, rng: random.Random, current: Packed) -> tuple[list[int], frozenset[int]]:
        """One or two buffers get another rank, or go to the arena's other end."""
        ranks, high = list(current.ranks), current.high
        for _ in range(1 if rng.random() < 0.75 else 2):
            chosen = self.chosen(rng, current)
            if rng.random() < 0.4:
                high = high ^ {chosen}
            else:
                ranks[chosen] = ranks[rng.randrange(len(ranks))] + rng.choice((-1, 0, 1))
        return ranks, high

    def chosen(self, rng: random.Random, current: Packed) -> int:
        """A buffer to move: often one at the arena's end, or one beside it: they decide."""
        if rng.random() < RANDOM_MOVES:
            return rng.randrange(len(self.buffers))
        limit = current.size - 2 * ALIGNMENT
        piece = rng.choice([i for i, place in enumerate(current.places) if place + self.sizes[i] > limit])
        if self.near[piece] and rng.random() < BESIDE:
            piece = rng.choice(self.near[piece])[0]
        return self.pieces[piece].owner


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
    for piece, place in zip(puzzle.pieces, found.places, strict=True):
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
