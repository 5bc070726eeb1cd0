"""Several memories: what calls read and write most lies in the fast ones.

A plan has one range of addresses for all of its memories: the first one begins at 0, each further one where the one
before ends. Kernels get the address of the first; those of the others stand in front of all that it holds, where
tin_attach (tin.h) wrote them, and generated code tells memories apart by the high bits of a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .lifetimes import SCRATCH, STATE, Buffer
from .loose import among
from .packing import ALIGNMENT, Forbidden, best_packing, packer_of, simple_packings
from .schedule import FEED, Run
from .tasks import Rows, Task

ADDRESSES = "addresses of memories"  # the buffer in front of all
ADDRESS_BYTES = 8  # TIN_ADDRESS_BYTES
MEMORY_SPAN = 1 << 28  # TIN_MEMORY_SPAN
MOST_MEMORIES = 16  # that the high bits of 32 can tell apart


@dataclass(frozen=True)
class Room:
    """A memory that a model may use. Rooms are given in order, the fastest first."""

    name: str  # a C identifier
    nbytes: int


@dataclass(frozen=True)
class Memory:
    """What a plan takes of a memory: its addresses [start, end)."""

    room: Room
    start: int
    end: int

    @property
    def nbytes(self) -> int:
        return self.end - self.start

    @property
    def over(self) -> int:
        """Bytes that it lacks."""
        return max(0, self.nbytes - self.room.nbytes)


def traffic(
    tasks: Mapping[int, Task], runs: Sequence[Run], sizes: Mapping[str, Rows], roots: Mapping[str, str]
) -> dict[str, int]:
    """Buffer -> bytes that the calls of one inference read and write in it: for each step, the rows that it needs.

    What a step reads more than once counts once; scratch and sums count twice, as they are written and read. `sizes`:
    (rows, bytes a row) of each tensor that is no view; `roots`: tensor -> the buffer that holds it.
    """
    found = dict.fromkeys(roots.values(), 0)
    for run in runs:
        if run.node == FEED:
            continue
        task = tasks[run.node]
        for read in task.reads:
            rows = sum(high - low + 1 for low, high in read.windows[run.first : run.end])
            found[roots[read.buffer]] += rows * sizes[read.buffer][1]
        found[roots[task.buffer]] += len(task.completed(run.first, run.end)) * sizes[task.buffer][1]
        for kind, nbytes in ((SCRATCH, task.scratch_bytes), (STATE, task.state_bytes)):
            if nbytes:
                name = kind + task.call.y.name
                found[name] = found.get(name, 0) + 2 * nbytes * (run.end - run.first)
    return found


def spread(
    buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]], heat: Mapping[str, int], rooms: Sequence[Room]
) -> tuple[list[int], tuple[Memory, ...]]:
    """An address for each buffer, and what each memory then takes; the last one may be too small for it.

    `heat` is what `traffic` says.
    """
    addresses = [0] * len(buffers)
    memories: list[Memory] = []
    left, start = list(range(len(buffers))), 0
    for number, room in enumerate(rooms):
        reserved = ADDRESS_BYTES * (len(rooms) - 1) if number == 0 else 0
        last = number == len(rooms) - 1
        limit = room.nbytes // ALIGNMENT * ALIGNMENT - reserved
        chosen = left if last else hottest(left, buffers, forbidden, heat, limit)
        found = best_packing([buffers[i] for i in chosen], among(forbidden, chosen))
        for i, offset in zip(chosen, found.offsets, strict=True):
            addresses[i] = start + reserved + offset
        # A memory of which nothing is used has one word, so that an array of its size can be declared.
        taken = max(ALIGNMENT, -(-(reserved + found.size) // ALIGNMENT) * ALIGNMENT)
        memories.append(Memory(room, start, start + taken))
        start += taken
        left = [i for i in left if i not in set(chosen)]
    return addresses, tuple(memories)


def hottest(
    left: Sequence[int], buffers: Sequence[Buffer], forbidden: Sequence[dict[int, Forbidden]], heat: Mapping[str, int],
    limit: int,
) -> list[int]:  # fmt: skip
    """Those of the buffers `left` that a memory of `limit` bytes holds: the most traffic for each byte comes first."""

    def fits(chosen: Sequence[int]) -> bool:
        some, apart = [buffers[i] for i in chosen], among(forbidden, chosen)
        return simple_packings(packer_of(some, apart), some, apart)[0].size <= limit

    if best_packing([buffers[i] for i in left], among(forbidden, left)).size <= limit:
        return list(left)
    chosen: list[int] = []
    for i in sorted(left, key=lambda i: (-heat[buffers[i].name] / buffers[i].nbytes, i)):
        if fits([*chosen, i]):
            chosen = [*chosen, i]
    return chosen
