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
from .packing import ALIGNMENT, Forbidden, Interval, Packing, collisions, highest, lowest, negative

SEARCH_STEPS = 300  # tries of the local search
SEARCH_LIMIT = 90_000  # steps times pieces, so that large graphs do not wait
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


def neighbours(
    pieces: Sequence[Piece], forbidden: Sequence[Mapping[int, Forbidden]]
) -> list[list[tuple[int, Forbidden]]]:
    """For each piece: the others alive at the same time, and the distances at which they would collide."""
    moments = [ever(piece.body) for piece in pieces]
    found: list[list[tuple[int, Forbidden]]] = [[] for _ in pieces]
    for i, own in enumerate(pieces):
        for j in range(i):
            if not moments[i] & moments[j]:
                continue
            other = pieces[j]
            if own.row < 0 and other.row < 0:
                intervals = forbidden[own.owner].get(other.owner, ())
            else:
                intervals = collisions(own.body, other.body)
            if intervals:
                found[i].append((j, intervals))
                found[j].append((i, negative(intervals)))
    return found


class Puzzle:
    """Pieces to be packed in the order of their buffers' ranks, then of birth."""

    def __init__(self, buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]], past: History) -> None:
        self.buffers = buffers
        self.pieces = list(pieces_of(buffers, past, loosen(buffers, past)))
        self.near = neighbours(self.pieces, forbidden)
        self.sizes = [piece.body.nbytes for piece in self.pieces]

    def pack(self, ranks: Sequence[int], high: frozenset[int], size: int, limit: int) -> tuple[int, list[int]]:
        """(size, place of each piece), or (more than `limit`, anything): each piece at the lowest free place, or if
        its buffer is in `high`, at the highest below `size`."""
        pieces, sizes, places, most = self.pieces, self.sizes, [-1] * len(self.pieces), 0
        for i in sorted(range(len(pieces)), key=lambda k: (ranks[pieces[k].owner], pieces[k].born)):
            taken: list[Interval] = [
                (places[j] - top, places[j] - low)
                for j, intervals in self.near[i]
                if places[j] >= 0
                for low, top in intervals
            ]
            taken.sort()
            place = highest(taken, size - sizes[i]) if pieces[i].owner in high else -1
            places[i] = place if place >= 0 else lowest(taken)
            most = max(most, places[i] + sizes[i])
            if most > limit:
                break
        return most, places

    def starts(self, rigid: Packing) -> Iterator[tuple[list[int], frozenset[int]]]:
        """Ranks to begin with: by size, by classes of sizes, and those of the packing of whole rings."""
        sizes = [b.nbytes if not any(p.row >= 0 for p in self.pieces if p.owner == i) else b.row_bytes
                 for i, b in enumerate(self.buffers)]  # fmt: skip
        yield [-size for size in sizes], frozenset()
        yield [-(size // SIZE_CLASS) for size in sizes], frozenset()
        yield [rigid.order.index(i) for i in range(len(sizes))], rigid.high

    def solve(self, rigid: Packing) -> tuple[int, list[int]]:
        """The smallest arena found, and the places of the pieces in it. Seed and number of steps are fixed."""
        count, rng, most = len(self.buffers), random.Random(1), rigid.size
        tried = [(*self.pack(ranks, high, most, 2 * most), ranks, high) for ranks, high in self.starts(rigid)]
        current, places, ranks, high = min(tried, key=lambda entry: entry[0])
        best = (current, places)
        for _ in range(min(SEARCH_STEPS, SEARCH_LIMIT // len(self.pieces))):
            new_ranks, new_high = list(ranks), high
            for _ in range(1 if rng.random() < 0.75 else 2):
                moved = rng.randrange(count)
                if rng.random() < 0.4:
                    new_high = new_high ^ {moved}
                else:
                    new_ranks[moved] = new_ranks[rng.randrange(count)] + rng.choice((-1, 0, 1))
            size, places = self.pack(new_ranks, new_high, best[0] - ALIGNMENT, current)
            if size <= current:
                current, ranks, high = size, new_ranks, new_high
            if size < best[0]:
                best = (size, places)
        return best


def loose_packing(
    buffers: Sequence[Buffer], forbidden: Sequence[Mapping[int, Forbidden]], past: History, rigid: Packing
) -> tuple[Buffer, ...] | None:
    """The buffers where they lie if rows may lie anywhere; None if that hardly saves anything."""
    if not loosen(buffers, past) or rigid.size > MOST_BYTES:
        return None
    puzzle = Puzzle(buffers, forbidden, past)
    size, places = puzzle.solve(rigid)
    if size > rigid.size * (1 - LEAST_GAIN):
        return None
    rows: list[dict[int, int]] = [{} for _ in buffers]
    for piece, place in zip(puzzle.pieces, places, strict=True):
        rows[piece.owner][piece.row] = place
    return tuple(put(b, found, past) for b, found in zip(buffers, rows, strict=True))


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
