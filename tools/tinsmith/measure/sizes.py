"""What a compiled model adds to a firmware: flash and static RAM, without port and harness.

The rule, on sections (so build with -ffunction-sections -fdata-sections):

- Start at the functions of the model that an application calls, its `roots`; follow each relocation
  to the section that it refers to. What is reached counts, with the size that the linker map states.
- Sections of the model's own objects (generated code and kernels) count, and so do sections of
  library archives (division, memcpy). The latter count in full even if the application uses them as
  well: an upper bound. Other objects (application, port, start-up code) neither count nor are followed.
- Code is what is executable, with its literal pools. Data is what is constant, and the initial
  values of variables. RAM is variables; the arena belongs to the application, and the stack is
  measured elsewhere. Padding between sections and unwinding tables do not count. Strings that the
  linker merged count for the object that comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinsmith.errors import InputError
from tinsmith.measure.objects import ObjectFile, read_objects

_START_OF_MAP = "Linker script and memory map"
_PLACED = re.compile(r"^ (\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S.*)$")
_NAME_ALONE = re.compile(r"^ \S+$")

Place = tuple[str, str]  # object as the map names it, section


@dataclass(frozen=True)
class Part:
    """A section that counts. `kind`: code, data, initialized (variables) or zeroed (variables)."""

    object: str
    section: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class Sizes:
    """Bytes of a model in a firmware, and the sections that they come from, largest first."""

    parts: tuple[Part, ...]

    @property
    def code_bytes(self) -> int:
        return self._sum("code")

    @property
    def data_bytes(self) -> int:
        return self._sum("data", "initialized")

    @property
    def flash_bytes(self) -> int:
        return self.code_bytes + self.data_bytes

    @property
    def ram_bytes(self) -> int:
        return self._sum("initialized", "zeroed")

    def _sum(self, *kinds: str) -> int:
        return sum(part.bytes for part in self.parts if part.kind in kinds)


def flash(map_file: Path, objects: Iterable[Path], roots: Sequence[str] = (), directory: Path | None = None) -> Sizes:
    """Sizes of the model whose generated code and kernels are in `objects` (object files or archives).

    `map_file` is what GNU ld wrote with -Map; the names in it are relative to `directory` (by default
    the map's own). Without `roots`, all that the linker kept of `objects` is a root.
    Raises InputError for a root or object that the firmware does not have, or files that do not match.
    """
    directory = directory or map_file.parent
    placed = _read_map(map_file)
    files = read_objects(directory, sorted({name for name, _ in placed}))
    own = _own(directory, files, [Path(path) for path in objects], _loaded(map_file))
    starts = [place for place in placed if place[0] in own]
    if roots:
        defined = _definitions(placed, files)
        missing = [root for root in roots if defined.get(root) not in starts]
        if missing:
            raise InputError(f"{map_file}: the model's objects have no {', '.join(missing)} that the linker kept")
        starts = [defined[root] for root in roots]
    reached = _reach(starts, placed, files, own)
    parts = (Part(*place, files[place[0]].sections[place[1]].kind, placed[place]) for place in reached)
    return Sizes(tuple(sorted(parts, key=lambda part: (-part.bytes, part.object, part.section))))


def _read_map(path: Path) -> dict[Place, int]:
    """Bytes of each input section that the linker kept; those that take no memory are still among them."""
    _, found, text = path.read_text(encoding="utf-8").partition(_START_OF_MAP)
    if not found:
        raise InputError(f"{path}: not a linker map of GNU ld")
    placed: dict[Place, int] = {}
    before = ""
    for line in text.splitlines():
        # A long section name has a line of its own.
        match = _PLACED.match(line) or _PLACED.match(before + line)
        before = line if _NAME_ALONE.match(line) else ""
        if match and int(match[2], 16):
            place = match[3], match[1]
            placed[place] = placed.get(place, 0) + int(match[2], 16)
    return {place: size for place, size in placed.items() if place[0] != "linker stubs"}


def _loaded(path: Path) -> list[str]:
    """The files that the linker was given, also those of which it kept nothing."""
    return re.findall(r"^LOAD (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def _own(directory: Path, files: Iterable[str], objects: Iterable[Path], loaded: Iterable[str]) -> set[str]:
    wanted = {path.resolve(): path for path in objects}
    homes = {name: (directory / name.split("(")[0]).resolve() for name in files}
    known = {*homes.values(), *((directory / name).resolve() for name in loaded)}
    missing = [str(path) for home, path in wanted.items() if home not in known]
    if missing:
        raise InputError(f"not linked into this firmware: {', '.join(missing)}")
    return {name for name, home in homes.items() if home in wanted}


def _definitions(placed: Iterable[Place], files: Mapping[str, ObjectFile]) -> dict[str, Place]:
    """Where each global symbol is; a strong definition wins over a weak one."""
    kept = set(placed)
    defined: dict[str, Place] = {}
    for name, file in files.items():
        for symbol, section in file.defines.items():
            if (name, section) in kept and not (symbol in file.weak and symbol in defined):
                defined[symbol] = name, section
    return defined


def _reach(
    starts: Iterable[Place], placed: Iterable[Place], files: Mapping[str, ObjectFile], own: set[str]
) -> set[Place]:
    defined, kept = _definitions(placed, files), set(placed)

    def follow(place: Place) -> Iterator[Place]:
        section = files[place[0]].sections[place[1]]
        yield from ((place[0], name) for name in section.locals)
        yield from (defined[symbol] for symbol in section.symbols if symbol in defined)

    pending, reached = list(starts), set()
    while pending:
        place = pending.pop()
        counts = place in kept and (place[0] in own or place[0].endswith(")")) and place[1] in files[place[0]].sections
        if counts and place not in reached:
            reached.add(place)
            pending.extend(follow(place))
    return reached
