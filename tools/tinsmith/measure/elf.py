"""The little that measuring needs to know about ELF files and their disassembly."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection, SymbolTableSection

from tinsmith.errors import InputError, TargetError

# The first program that is installed disassembles; all GNU objdumps of a machine agree.
OBJDUMPS: Mapping[str, tuple[str, ...]] = {
    "EM_ARM": ("arm-none-eabi-objdump",),
    "EM_RISCV": ("riscv64-unknown-elf-objdump", "riscv-none-elf-objdump", "riscv32-esp-elf-objdump"),
}
# Tag_CPU_arch of the build attributes, "ABI for the Arm Architecture: Addenda", for cores without an MMU.
ARM_ARCHITECTURES: Mapping[int, str] = {
    10: "v7", 11: "v6-M", 12: "v6S-M", 13: "v7E-M", 16: "v8-M.baseline", 17: "v8-M.mainline", 21: "v8.1-M.mainline",
}  # fmt: skip
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f]+(?: [0-9a-f]+)*)\s*\t(\S+)\s*(.*)$")
_COMMENT = re.compile(r"\s*(?:[;@#] ).*$")


@dataclass(frozen=True)
class Function:
    """A function of an ELF file; `address` is without the Thumb bit, `size` 0 if the file does not say."""

    name: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line of a disassembly; `operands` is without the disassembler's comment."""

    address: int
    size: int
    mnemonic: str
    operands: str


def machine(path: Path) -> str:
    """The ELF machine, such as "EM_ARM". Raises InputError if the file is not an ELF file."""
    with path.open("rb") as file:
        return str(open_elf(path, file)["e_machine"])


def arm_architecture(path: Path) -> str:
    """The architecture that an Arm ELF file was built for, such as "v7E-M"; of other files, the machine."""
    with path.open("rb") as file:
        elf = open_elf(path, file)
        section = elf.get_section_by_name(".ARM.attributes")
        if not isinstance(section, ARMAttributesSection):
            return str(elf["e_machine"])
        for part in section.subsections:
            for group in part.iter_subsubsections():
                for attribute in group.iter_attributes("TAG_CPU_ARCH"):
                    return ARM_ARCHITECTURES.get(attribute.value, f"Arm architecture {attribute.value}")
        return "Arm of unknown architecture"


def functions(path: Path) -> dict[str, Function]:
    """The functions of a linked ELF file by name. Raises InputError if the file has no symbols."""
    with path.open("rb") as file:
        elf = open_elf(path, file)
        table = elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise InputError(f"{path}: measuring needs symbols, and the file is stripped")
        thumb = 1 if elf["e_machine"] == "EM_ARM" else 0
        found = (s for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC" and s["st_shndx"] != "SHN_UNDEF")
        return {s.name: Function(s.name, s["st_value"] & ~thumb, s["st_size"]) for s in found}


def open_elf(path: Path | str, file: IO[bytes]) -> ELFFile:
    """Reads the headers of an ELF file that is already open. Raises InputError if it is not one."""
    try:
        return ELFFile(file)
    except ELFError as error:
        raise InputError(f"{path}: not an ELF file ({error})") from error


def disassemble(path: Path, objdump: str | None = None) -> dict[int, Instruction]:
    """All instructions of a linked ELF file by address, in rising order.

    `objdump` names the program; by default it follows from the machine. Raises TargetError if there
    is none or it fails.
    """
    command = objdump or _objdump(path)
    result = subprocess.run([command, "-d", "-w", str(path)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise TargetError(f"{command} cannot disassemble {path}: {result.stderr.strip()}")
    listing = {}
    for line in result.stdout.splitlines():
        if match := _LINE.match(line):
            address, size = int(match[1], 16), len(match[2].replace(" ", "")) // 2
            listing[address] = Instruction(address, size, match[3], _COMMENT.sub("", match[4]).strip())
    return dict(sorted(listing.items()))


def _objdump(path: Path) -> str:
    names = OBJDUMPS.get(machine(path), ())
    for name in names:
        if shutil.which(name):
            return name
    raise TargetError(f"{path}: no disassembler for {machine(path)} ({', '.join(names) or 'none known'}) is installed")
