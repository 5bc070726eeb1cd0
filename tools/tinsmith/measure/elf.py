"""The little that measuring needs to know about ELF files and their disassembly."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
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
# What objdump must be told, or it takes vector instructions for those of a coprocessor.
OBJDUMP_MACHINES: Mapping[str, str] = {"v8.1-M.mainline": "armv8.1-m.main"}
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f]+(?: [0-9a-f]+)*)\s*\t(\S+)\s*(.*)$")
_COMMENT = re.compile(r"\s*(?:[;@#] ).*$")
_TARGET = re.compile(r"\b([0-9a-f]+) <")
_REGISTER_LIST = re.compile(r"\{([^}]*)\}")
_REGISTERS = re.compile(r"[a-z]+(\d+)-[a-z]+(\d+)")


@dataclass(frozen=True)
class Function:
    """A function of an ELF file; `address` is without the Thumb bit, `size` 0 if the file does not say."""

    name: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line of a disassembly; `operands` is without the disassembler's comment.

    `target` is the address that the instruction names, of a branch the one that it goes to.
    """

    address: int
    size: int
    mnemonic: str
    operands: str
    target: int | None = None


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
    """The functions of a linked ELF file by name; of static ones with the same name, one."""
    return {function.name: function for function in all_functions(path)}


def all_functions(path: Path) -> list[Function]:
    """The functions of a linked ELF file. Raises InputError if the file has no symbols.

    Global labels in code are functions too: not all assembly code declares its types.
    """
    with path.open("rb") as file:
        elf = open_elf(path, file)
        table = elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise InputError(f"{path}: measuring needs symbols, and the file is stripped")
        thumb = 1 if elf["e_machine"] == "EM_ARM" else 0
        code = {
            index for index, section in enumerate(elf.iter_sections()) if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR
        }
        kinds = {("STT_FUNC", "STB_LOCAL"), *itertools.product(("STT_FUNC", "STT_NOTYPE"), ("STB_GLOBAL", "STB_WEAK"))}
        found = (
            symbol
            for symbol in table.iter_symbols()
            if (symbol["st_info"]["type"], symbol["st_info"]["bind"]) in kinds and symbol["st_shndx"] in code
        )
        return [Function(symbol.name, symbol["st_value"] & ~thumb, symbol["st_size"]) for symbol in found]


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
    named = OBJDUMP_MACHINES.get(arm_architecture(path))
    options = ["-d", "-w", *(["-m", named] if named else [])]
    result = subprocess.run([command, *options, str(path)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise TargetError(f"{command} cannot disassemble {path}: {result.stderr.strip()}")
    listing = {}
    for line in result.stdout.splitlines():
        if match := _LINE.match(line):
            address, size = int(match[1], 16), len(match[2].replace(" ", "")) // 2
            target = _TARGET.search(match[4])
            operands = _COMMENT.sub("", match[4]).strip()
            listing[address] = Instruction(address, size, match[3], operands, int(target[1], 16) if target else None)
    return dict(sorted(listing.items()))


def _objdump(path: Path) -> str:
    names = OBJDUMPS.get(machine(path), ())
    for name in names:
        if shutil.which(name):
            return name
    raise TargetError(f"{path}: no disassembler for {machine(path)} ({', '.join(names) or 'none known'}) is installed")


def words_moved(operands: str) -> int:
    """32-bit words that an Arm load or store moves: of its register list, or of its first register."""
    listed = _REGISTER_LIST.search(operands)
    names = (listed[1] if listed else operands.split(",")[0]).replace(" ", "").split(",")
    registers = 0
    for name in names:
        span = _REGISTERS.fullmatch(name)
        registers += int(span[2]) - int(span[1]) + 1 if span else 1
    return registers * (2 if names[0].startswith("d") else 1)
