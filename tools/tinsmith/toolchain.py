"""Compiles C into firmware for an emulated core, or into a shared library for the host.

Object files say what they belong to by their folder: `model/` holds the generated model and its
kernels, `app/` the application's main loop, `port/` start-up and transport. The linker's map file
names the same paths.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinsmith import paths
from tinsmith.errors import TargetError
from tinsmith.targets import Emulator, Target

FIRMWARE = paths.firmware()

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
SECTIONS = ("-ffunction-sections", "-fdata-sections")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")

Kind = Literal["firmware", "shared"]
Command = tuple[str, ...]

# What is compiled into model code: "check" = node hook and assertions, "count" = the node hook alone,
# "none" = exactly the code that ships.
Instrument = Literal["check", "count", "none"]
_HOOKS: Mapping[Instrument, Command] = {
    "check": ("-DPORT_ON_NODE", "-DPORT_ASSERT"),
    "count": ("-DPORT_ON_NODE",),
    "none": (),
}

_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes?")


@dataclass(frozen=True)
class Built:
    """A finished build."""

    target: Target
    output: Path
    objects: Path  # folder with model/, app/ and port/; cross builds keep GCC's .ci files beside the objects
    map_file: Path | None  # of firmware
    emulator: Emulator | None  # the machine that firmware was linked for
    commands: tuple[Command, ...]  # in the order in which they ran


def infer_defines(name: str, fed_bytes: int = 0, memories: Sequence[str] = ("arena",)) -> Command:
    """The macros that make firmware/apps/infer run the generated model NAME.h, NAME.c.

    `fed_bytes` are those of an input that the model takes row by row; the application keeps it for it. `memories` are
    the names of those that the model works in.
    """
    sizes = "+".join(f"{name}_{memory}_BYTES".upper() for memory in memories)
    return (
        *([f"TIN_MODEL_FED_BYTES={fed_bytes}"] if fed_bytes else []),
        f"TIN_MODEL={name}_model",
        f'TIN_MODEL_HEADER="{name}.h"',
        f"TIN_MODEL_MEMORIES={len(memories)}",
        f"TIN_MODEL_MEMORY_BYTES=({sizes})",
    )


def build(
    target: Target,
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    output: Path,
    *,
    kind: Kind = "firmware",
    optimize: str = "-O2",
    defines: Sequence[str] = (),
    instrument: Instrument = "check",
    sanitize: bool = False,
    app: str = "infer",
    keep: Sequence[str] = (),
) -> Built:
    """Compile `sources` (a generated model and its kernels) with the target's ports, and link.

    Firmware gets the application `app` of firmware/apps too, and is linked for the first of the
    target's emulators whose memory it fits. A shared library is for ctypes; `sanitize` builds it with
    the address and undefined-behaviour sanitizers (GCC only). Functions in `keep` stay in firmware
    even if nothing there calls them. Raises TargetError if it cannot be built
    like this, if its compiler is missing or refuses a file (the message holds what the compiler said),
    or if no emulator has enough memory.
    """
    firmware = kind == "firmware"
    if firmware != bool(target.emulators):
        what = "firmware: it has no emulator" if firmware else "a shared library: it is not this computer"
        raise TargetError(f"{target.name} cannot be built as {what}")
    output = output.resolve()
    objects = output.with_name(output.name + ".objects")
    shutil.rmtree(objects, ignore_errors=True)
    ports = [FIRMWARE / "ports" / port for port in target.ports]
    flags = [*target.flags, optimize, "-g1", *WARNINGS, *SECTIONS, *_HOOKS[instrument]]
    flags += ["-fcallgraph-info=su"] if firmware else ["-fPIC"]
    flags += [f"-D{define}" for define in defines] + (list(SANITIZERS) if sanitize else [])
    flags += [f"-I{path}" for path in (*include_dirs, FIRMWARE / "core", FIRMWARE / "ports", *ports)]

    hooks = ["-include", "port.h"] if instrument != "none" else []
    commands = _compile(target, flags, sources, objects / "model", hooks)
    commands += _compile(target, flags, _sources_in(ports), objects / "port")
    if firmware:
        commands += _compile(target, flags, _sources_in([FIRMWARE / "apps" / app]), objects / "app")
    linked = [command[-1] for command in commands]
    if not firmware:
        commands.append(_link_shared(target, linked, output, sanitize))
        return Built(target, output, objects, None, None, tuple(commands))
    emulator, command = _link_firmware(target, linked, objects, output, keep)
    return Built(target, output, objects, _map_of(output), emulator, (*commands, command))


def sanitizer_environment(target: Target) -> dict[str, str]:
    """Variables with which a Python process can load a library that GCC built with `sanitize`.

    Raises TargetError if the compiler has no shared address sanitizer of GCC's kind.
    """
    library = _run(target, (*compiler(target), "-print-file-name=libasan.so")).strip()
    if not Path(library).is_absolute():
        raise TargetError(f"{compiler(target)[0]} has no libasan.so, which a sanitized library needs; GCC has one")
    # Python itself never frees everything, so leaks are not looked for.
    return {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}


def compiler(target: Target) -> Command:
    """The compiler's command: the environment's CC for the host, GCC for everything else."""
    if target.toolchain:
        return (f"{target.toolchain}gcc",)
    return tuple(shlex.split(os.environ.get("CC", ""))) or ("gcc",)


def tool(target: Target, name: str) -> str:
    """A program of the target's toolchain, such as nm, size or addr2line."""
    return f"{target.toolchain}{name}"


def _sources_in(folders: Iterable[Path]) -> list[Path]:
    files = [path for folder in folders for path in sorted(folder.glob("*")) if path.suffix in (".c", ".S")]
    if not files:
        raise TargetError(f"no C files in {', '.join(map(str, folders))}")
    return files


def _compile(
    target: Target, flags: Sequence[str], files: Sequence[Path], folder: Path, hooks: Sequence[str] = ()
) -> list[Command]:
    """One object per file; each command ends with the object's path. `hooks` are flags for C alone."""
    folder.mkdir(parents=True, exist_ok=True)
    commands: list[Command] = []
    taken: set[str] = set()
    for source in files:
        name = source.stem
        while name in taken:  # two folders may both have an add.c
            name += "_"
        taken.add(name)
        # What is included in front of C would not assemble.
        front = hooks if source.suffix == ".c" else ()
        command = (*compiler(target), *flags, *front, "-c", str(source), "-o", str(folder / f"{name}.o"))
        _run(target, command)
        commands.append(command)
    return commands


def _link_shared(target: Target, objects: Sequence[str], output: Path, sanitize: bool) -> Command:
    part = output.with_name(output.name + ".part")
    sanitizers = SANITIZERS if sanitize else ()
    command = (*compiler(target), "-shared", *sanitizers, *objects, *_libraries(target), "-o", str(part))
    _run(target, command)
    os.replace(part, output)
    return command


def _link_firmware(
    target: Target, linked: Sequence[str], objects: Path, output: Path, keep: Sequence[str]
) -> tuple[Emulator, Command]:
    """Link for each emulator in turn until the firmware fits."""
    part = output.with_name(output.name + ".part")
    (script,) = [path for port in target.ports for path in (FIRMWARE / "ports" / port).glob("link.ld")]
    map_part = _map_of(part)
    command = (
        *(*compiler(target), *target.flags, *target.link_flags, "-nostartfiles", "-Wl,--gc-sections"),
        *(f"-Wl,--undefined={symbol}" for symbol in keep),
        *(f"-L{objects}", f"-T{script}", f"-Wl,-Map={map_part}", *linked),
        *("-Wl,--start-group", *_libraries(target), "-Wl,--end-group", "-o", str(part)),
    )
    too_small: list[str] = []
    for emulator in target.emulators:
        (objects / "memory.ld").write_text(_memory_script(emulator), encoding="ascii")
        try:
            _run(target, command)
        except TargetError as error:
            overflows = _OVERFLOW.findall(str(error))
            if not overflows:
                raise
            needs = " and ".join(f"{count} bytes more {region}" for region, count in overflows)
            too_small.append(f"{needs} than {emulator.machine} has")
        else:
            os.replace(map_part, _map_of(output))
            os.replace(part, output)
            return emulator, command
    raise TargetError(f"{target.name}: {output.name} needs {', and '.join(too_small)}")


def _memory_script(emulator: Emulator) -> str:
    regions = (("FLASH", "rx", emulator.flash), ("RAM", "rw", emulator.ram))
    lines = [f"    {name} ({rights}) : ORIGIN = {r.origin:#x}, LENGTH = {r.size:#x}" for name, rights, r in regions]
    return "\n".join(["MEMORY", "{", *lines, "}", f"tin_stack_bytes = {emulator.stack};", ""])


def _libraries(target: Target) -> list[str]:
    return [f"-l{library}" for library in target.libraries]


def _map_of(output: Path) -> Path:
    return output.with_name(output.name + ".map")


def _run(target: Target, command: Command) -> str:
    """Run a tool and return what it printed. Raises TargetError with its complaints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise TargetError(
            f"{target.name} needs {command[0]}, which was not found (Debian: apt-get install {target.package})"
        ) from error
    if done.returncode:
        raise TargetError(f"{target.name}: {command[0]} failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout
