"""Reading object files, alone or in archives: which sections they have and what each one refers to."""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from tinsmith.errors import InputError
from tinsmith.measure.elf import open_elf

COMMON = "COMMON"
_UNWINDING = (".ARM.exidx", ".ARM.extab", ".eh_frame")
_MEMBER = re.compile(r"(.+)\(([^()]+)\)")


@dataclass
class Section:
    """A section that takes memory, unwinding tables aside. `locals` and `symbols` are what its relocations refer to."""

    kind: str  # code, data (constants), initialized (variables, with their image in flash) or zeroed
    locals: set[str] = field(default_factory=set)  # sections of the same object
    symbols: set[str] = field(default_factory=set)  # symbols of other objects


@dataclass
class ObjectFile:
    """Sections by name (sections of one name are taken together); `defines` maps a global symbol to its section."""

    sections: dict[str, Section]
    defines: dict[str, str]
    weak: set[str]


def read_objects(directory: Path, names: Collection[str]) -> dict[str, ObjectFile]:
    """Reads object files by the names that a linker map gives them: "x.o" or "libx.a(y.o)".

    Names are relative to `directory`. Raises InputError for a file that is missing or damaged.
    """
    wanted: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        match = _MEMBER.fullmatch(name)
        file, member = (match[1], match[2]) if match else (name, "")
        wanted.setdefault(file, []).append((member, name))
    found = {}
    for file, entries in wanted.items():
        content = _read(directory / file)
        members = _members(file, content) if entries[0][0] else {"": content}
        for member, name in entries:
            if member not in members:
                raise InputError(f"{file}: the linker map says that it holds {member}, and it does not")
            found[name] = _object(name, members[member])
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: named in the linker map, and cannot be read ({error.strerror})") from error


def _members(name: str, content: bytes) -> dict[str, bytes]:
    """The files in a GNU archive."""
    if not content.startswith(b"!<arch>\n"):
        raise InputError(f"{name}: not an archive with its members inside")
    members: dict[str, bytes] = {}
    long_names, position = b"", 8
    while position + 60 <= len(content):
        title = content[position : position + 16].decode("latin-1").rstrip()
        size = int(content[position + 48 : position + 58])
        body = content[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
        if title == "//":
            long_names = body
        elif re.fullmatch(r"/\d+", title):
            start = int(title[1:])
            members.setdefault(long_names[start : long_names.index(b"/\n", start)].decode("latin-1"), body)
        elif not title.startswith("/"):
            members.setdefault(title.rstrip("/"), body)
    return members


def _object(name: str, content: bytes) -> ObjectFile:
    elf = open_elf(name, io.BytesIO(content))
    names = [section.name for section in elf.iter_sections()]
    result = ObjectFile({COMMON: Section("zeroed")}, {}, set())
    for section in elf.iter_sections():
        flags = section["sh_flags"]
        if flags & SH_FLAGS.SHF_ALLOC and not section.name.startswith(_UNWINDING):
            result.sections.setdefault(section.name, Section(_kind(flags, section["sh_type"])))
    table = elf.get_section_by_name(".symtab")
    if isinstance(table, SymbolTableSection):
        for symbol in table.iter_symbols():
            binding, home = symbol["st_info"]["bind"], _home(symbol["st_shndx"], names)
            if binding in ("STB_GLOBAL", "STB_WEAK") and home is not None:
                result.defines[symbol.name] = home
                if binding == "STB_WEAK":
                    result.weak.add(symbol.name)
        _add_references(elf, table, names, result)
    return result


def _kind(flags: int, section_type: str) -> str:
    if flags & SH_FLAGS.SHF_EXECINSTR:
        return "code"
    if not flags & SH_FLAGS.SHF_WRITE:
        return "data"
    return "zeroed" if section_type == "SHT_NOBITS" else "initialized"


def _home(index: int | str, names: list[str]) -> str | None:
    """The section that a symbol is in, None if in no section of this object."""
    if index == "SHN_COMMON":
        return COMMON
    return names[index] if isinstance(index, int) else None


def _add_references(elf: ELFFile, table: SymbolTableSection, names: list[str], result: ObjectFile) -> None:
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection):
            continue
        source = result.sections.get(names[section["sh_info"]])
        if source is None:
            continue
        for relocation in section.iter_relocations():
            symbol = table.get_symbol(relocation["r_info_sym"])
            home = _home(symbol["st_shndx"], names)
            # The linker may replace a weak definition by another object's: ask for it by name.
            if home is not None and symbol.name not in result.weak:
                source.locals.add(home)
            elif symbol.name:
                source.symbols.add(symbol.name)
