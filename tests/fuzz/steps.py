"""Mutations: of bytes without knowing the format, and of the numbers of a flatbuffer by their meaning."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fuzz.corpus import Seed
from fuzz.sites import Site

WORDS = (0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1)
SMALL = (-2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 9, 16, 17, 32, 33, 64, 100, 127, -128, -129, 128, 255, 256)
LARGEST_FLOAT = 3.4028234e38  # of 32 bits
FLOATS = (
    0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e-45, -1e-45, 1e-38, 1.1754944e-38,
    LARGEST_FLOAT, -LARGEST_FLOAT, 1 / 256, 2.0**-31, 2.0**-20, 2.0**20, 2.0**31, 1e-7, 6.0, 0.5,
)  # fmt: skip


@dataclass
class Draft:
    """A file under mutation. The sites are those of the seed: they hold until bytes are moved."""

    data: bytearray
    fields: Sequence[Site]
    integers: Sequence[Site]
    donors: Sequence[Seed]

    def put(self, site: Site, value: float) -> None:
        """Writes a number where a field lies, cut to its width; nothing where the file has become too short."""
        if site.offset + site.width > len(self.data):
            return
        if site.format[-1] in "fd":
            finite = math.isnan(value) or abs(value) <= LARGEST_FLOAT or site.format[-1] == "d"
            struct.pack_into(site.format, self.data, site.offset, value if finite else math.copysign(math.inf, value))
        else:
            bits = int(value) & ((1 << 8 * site.width) - 1)
            self.data[site.offset : site.offset + site.width] = bits.to_bytes(site.width, "little")

    def get(self, site: Site) -> float:
        """The number at a field, 0 behind the end."""
        return float(site.read(self.data)) if site.offset + site.width <= len(self.data) else 0.0


def block(rng: random.Random, draft: Draft) -> tuple[int, int]:
    """A random range of at most 64 bytes; half of them lie on words."""
    start = rng.randrange(len(draft.data))
    if rng.random() < 0.5:
        start &= ~3
    return start, min(len(draft.data), start + rng.choice((1, 2, 4, 4, 8, 16, 64)))


def flip_bits(rng: random.Random, draft: Draft) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        draft.data[rng.randrange(len(draft.data))] ^= 1 << rng.randrange(8)


def set_byte(rng: random.Random, draft: Draft) -> None:
    draft.data[rng.randrange(len(draft.data))] = rng.randrange(256)


def set_word(rng: random.Random, draft: Draft) -> None:
    start = rng.randrange(len(draft.data) // 4) * 4
    value = rng.choice((*WORDS, len(draft.data), len(draft.data) - start, len(draft.data) // 4))
    draft.data[start : start + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")


def truncate(rng: random.Random, draft: Draft) -> None:
    keep = rng.randrange(len(draft.data)) if rng.random() < 0.7 else len(draft.data) - rng.randrange(1, 9)
    del draft.data[max(0, keep) :]


def splice(rng: random.Random, draft: Draft) -> None:
    """A block of another seed over this one, at the same place or anywhere."""
    donor = rng.choice(draft.donors).data
    start = rng.randrange(len(donor))
    piece = donor[start : start + rng.choice((4, 16, 64, 256, len(donor)))]
    place = min(start, len(draft.data)) if rng.random() < 0.5 else rng.randrange(len(draft.data))
    draft.data[place : place + len(piece)] = piece


def copy_block(rng: random.Random, draft: Draft) -> None:
    (start, end), place = block(rng, draft), rng.randrange(len(draft.data))
    piece = draft.data[start:end]
    draft.data[place : place + (0 if rng.random() < 0.3 else len(piece))] = piece


def delete_block(rng: random.Random, draft: Draft) -> None:
    start, end = block(rng, draft)
    del draft.data[start:end]


def set_field(rng: random.Random, draft: Draft) -> None:
    """Any number that the importer reads: offsets, lengths, types, options, scales, indices."""
    site = rng.choice(draft.fields)
    if site.format in ("<H", "<i"):  # most are those of vtables, which rarely leave anything to read
        site = rng.choice(draft.fields)
    old = draft.get(site)
    if site.format[-1] in "fd":
        draft.put(site, rng.choice((*FLOATS, -old, old * 2.0 ** rng.randrange(-40, 40) if math.isfinite(old) else 1.0)))
        return
    nearby = int(old) + rng.choice((-8, -4, -2, -1, 1, 2, 4, 8))
    draft.put(site, rng.choice((nearby, rng.choice(SMALL), rng.choice(WORDS), len(draft.data) - site.offset)))


def set_scale(rng: random.Random, draft: Draft) -> None:
    floats = [s for s in draft.fields if s.format[-1] == "f"]
    if floats:
        site, old = rng.choice(floats), 2.0 ** rng.uniform(-30, 10)
        draft.put(site, rng.choice((*FLOATS, old, old)))


def copy_field(rng: random.Random, draft: Draft) -> None:
    """The number of another field of the same kind: cross-links, loops, equal scales."""
    site = rng.choice(draft.fields)
    same = [s for s in draft.fields if s.format == site.format]
    draft.put(site, draft.get(rng.choice(same)))


def share_table(rng: random.Random, draft: Draft) -> None:
    """Makes one offset lead to where another leads."""
    offsets = [s for s in draft.fields if s.format == "<I"]
    site, other = rng.choice(offsets), rng.choice(offsets)
    draft.put(site, other.offset + int(draft.get(other)) - site.offset)


def set_integer(rng: random.Random, draft: Draft) -> None:
    """A dimension or a reference to a tensor."""
    if draft.integers:
        site = rng.choice(draft.integers)
        draft.put(site, rng.choice((rng.choice(SMALL), rng.choice(WORDS), draft.get(rng.choice(draft.integers)))))


def set_equal_integers(rng: random.Random, draft: Draft) -> None:
    """All dimensions of one value to another: shapes change and still fit each other."""
    if draft.integers:
        old = draft.get(rng.choice(draft.integers))
        new = rng.choice((1, 2, 3, 5, 7, 16, 31, 64, 1000, 32767, 32768, 65536, 2**24, int(old) + 1, 2 * int(old)))
        for site in draft.integers:
            if draft.get(site) == old:
                draft.put(site, new)


Step = Callable[[random.Random, Draft], None]

#: Steps and how often each is taken.
STEPS: dict[Step, float] = {
    flip_bits: 3, set_byte: 2, set_word: 2, truncate: 0.5, splice: 1, copy_block: 0.7, delete_block: 0.3,
    set_field: 6, set_scale: 1.5, copy_field: 2, share_table: 1, set_integer: 2, set_equal_integers: 1.5,
}  # fmt: skip
