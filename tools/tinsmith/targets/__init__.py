"""Targets: what Tinsmith knows about a core, its compiler and its emulators. One data file each.

To add a target, write `NAME.toml` into this folder; nothing else lists them. Fields are those of
`Target`, with `[[emulator]]` tables for `emulators`; the name is the file's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from tinsmith.errors import TargetError

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Region:
    """A range of memory addresses, in bytes."""

    origin: int
    size: int


@dataclass(frozen=True)
class Emulator:
    """A machine that executes a target's code."""

    machine: str
    command: tuple[str, ...]  # the executable and the options that choose the machine
    package: str  # Debian package of the executable
    flash: Region
    ram: Region
    stack: int  # bytes of RAM reserved for the application's stack


@dataclass(frozen=True)
class Target:
    """A core to build for. A target without emulators is the host: it is built as a shared library."""

    name: str
    description: str
    toolchain: str  # prefix of the compiler's name; empty for the host's own
    package: str  # Debian packages of the compiler and its C library
    flags: tuple[str, ...]  # choose the instruction set, when compiling and when linking
    libraries: tuple[str, ...]
    kernels: tuple[str, ...]  # folders in firmware/core/arch whose kernels it runs, best first
    ports: tuple[str, ...]  # folders in firmware/ports
    link_flags: tuple[str, ...] = ()
    emulators: tuple[Emulator, ...] = ()  # in order of preference


def names() -> tuple[str, ...]:
    """All known targets, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str) -> Target:
    """The target called `name`.

    Raises TargetError if there is none, or if its file does not have exactly the fields it must have.
    """
    if name not in names():
        raise TargetError(f"there is no target {name!r}; the targets are {', '.join(names())}")
    path = FOLDER / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{path.name}: {error}") from error
    emulators = tuple(_emulator(path.name, entry) for entry in table.pop("emulator", []))
    return Target(**_checked(Target, path.name, {**table, "name": name, "emulators": emulators}))


def _emulator(where: str, table: Mapping[str, Any]) -> Emulator:
    values = _checked(Emulator, f"{where}, [[emulator]]", table)
    for region in ("flash", "ram"):
        values[region] = Region(**_checked(Region, f"{where}, {region}", values[region]))
    return Emulator(**values)


def _checked(kind: type, where: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The table as arguments of the dataclass `kind`, with lists as tuples."""
    known = {field.name for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    problems = [f"unknown field {key!r}" for key in sorted(table.keys() - known)]
    problems += [f"missing field {key!r}" for key in sorted(needed - table.keys())]
    if problems:
        raise TargetError(f"{where}: {'; '.join(problems)}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
