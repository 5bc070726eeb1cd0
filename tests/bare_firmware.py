"""Tiny firmware for emulated cores, without the project's own ports: for tests that know every instruction."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import needs
import pytest

from tinsmith.measure.retired import Counter, Counts

ARM_START = """
    .syntax unified
    .thumb
    .section .start, "ax"
    .word 0x20010000, _start + 1
    .text
    .global _start
    .type _start, %function
_start:
    bl main
    ldr r1, =0x20026 /* ADP_Stopped_ApplicationExit */
    movs r0, #0x18   /* SYS_EXIT */
    bkpt 0xab
    b .
    .ltorg
"""

RISCV_START = """
    .section .start, "ax"
    .global _start
    .type _start, %function
_start:
    la sp, 0x80100000
    call main
    li a1, 0x20026
    li a0, 0x18
    .option push
    .option norvc
    .balign 16
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
    .option pop
    j .
    .text
"""

NAMES = ("tin_count_begin", "tin_on_node", "tin_count_end")
HOOKS = """
    .irp name, {hooks}
    .section .text.\\name, "ax"
    .global \\name
    .type \\name, %function
\\name:
    nop
    nop
    {ret}
    .size \\name, . - \\name
    .endr
    .section .text.main, "ax"
    .global main
    .type main, %function
"""


@dataclass(frozen=True)
class Machine:
    """How to build and run bare firmware for one emulated core."""

    prefix: str
    flags: tuple[str, ...]
    text: int
    data: int
    start: str
    emulator: tuple[str, ...]

    def need(self) -> None:
        """Skips the test if the toolchain or the emulator is missing."""
        needs.programs(f"{self.prefix}gcc", self.emulator[0], "cc")

    def build(self, directory: Path, *files: str, flags: tuple[str, ...] = (), library: Sequence[str] = ()) -> Path:
        """Compiles named texts ("NAME.c" or "NAME.S", newline, text) into directory/firmware.elf and firmware.map.

        Files of `library` come from an archive, so that only what is needed is linked.
        """
        directory.mkdir(exist_ok=True)
        objects = [self.compile(directory, file, flags) for file in ("start.S\n" + self.start, *files)]
        if library:
            members = [self.compile(directory, file) for file in library]
            (directory / "odd").write_text("odd")  # members start at even offsets
            self.run(directory, "ar", "rcs", "libhelp.a", "odd", *members)
            objects.append("libhelp.a")
        script = directory / "link.ld"
        script.write_text(
            f"ENTRY(_start) SECTIONS {{ . = {self.text:#x}; .text : {{ KEEP(*(.start)) *(.text*) *(.rodata*) }}"
            f" . = {self.data:#x}; .data : {{ *(.data* .sdata*) }} .bss : {{ *(.bss* .sbss* COMMON) }} }}"
        )
        link = ("-nostartfiles", "-Wl,--gc-sections", "-T", "link.ld", "-Wl,-Map,firmware.map")
        self.gcc(directory, *link, *objects, "-o", "firmware.elf")
        return directory / "firmware.elf"

    def compile(self, directory: Path, file: str, flags: tuple[str, ...] = ()) -> str:
        name, text = file.split("\n", 1)
        (directory / name).write_text(text)
        output = name.rsplit(".", 1)[0] + ".o"
        self.gcc(directory, "-ffunction-sections", "-fdata-sections", *flags, "-c", name, "-o", output)
        return output

    def gcc(self, directory: Path, *arguments: str) -> None:
        self.run(directory, "gcc", *self.flags, *arguments)

    def run(self, directory: Path, tool: str, *arguments: str) -> None:
        command = [self.prefix + tool, *arguments]
        result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr

    def emulate(self, elf: Path, *extra: str) -> None:
        command = [*self.emulator, *extra, "-kernel", str(elf)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stderr) == (0, "")

    def count(self, elf: Path) -> list[Counts]:
        with Counter(elf) as counter:
            self.emulate(elf, *counter.qemu_args)
            return counter.regions()


_QUIET = ("-nographic", "-monitor", "none", "-serial", "null", "-semihosting-config", "enable=on,target=native")
ARM = Machine(
    "arm-none-eabi-",
    ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    0, 0x20000000, ARM_START, ("qemu-system-arm", "-M", "mps2-an386", *_QUIET),
)  # fmt: skip
RISCV = Machine(
    "riscv64-unknown-elf-",
    ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"),
    0x80000000, 0x80080000, RISCV_START, ("qemu-system-riscv32", "-M", "virt", "-bios", "none", *_QUIET),
)  # fmt: skip
# Per machine: return, call, load a constant, count down to zero and loop.
WORDS = {
    ARM: {"ret": "bx lr", "call": "bl", "load": "mov r0, #", "loop": "subs r0, #1\n bne", "save": "mov r8, lr",
          "leave": "bx r8", "head": ".syntax unified\n.thumb\n"},
    RISCV: {"ret": "ret", "call": "jal", "load": "li a0, ", "loop": "addi a0, a0, -1\n bnez a0,", "save": "mv s1, ra",
            "leave": "jr s1", "head": ""},
}  # fmt: skip
MACHINES = pytest.mark.parametrize("machine", [ARM, RISCV], ids=["cortex-m4", "rv32imc"])


def assembly(machine: Machine, body: str, hooks: Sequence[str] = NAMES) -> str:
    """Firmware in assembly: `hooks` and `main`; {words} in `body` stand for the machine's instructions."""
    words = WORDS[machine]
    text = words["head"] + HOOKS + body + "\n .size main, . - main\n"
    return "code.S\n" + text.format(hooks=", ".join(hooks), **words)


def loops(*rounds: int, repeat: int = 1) -> str:
    """A region in which node k counts rounds[k] down to zero; the whole region comes `repeat` times."""
    nodes = "".join(
        f"{{load}}{k}\n {{call}} tin_on_node\n {{load}}{n}\n {k}1: {{loop}} {k}1b\n" for k, n in enumerate(rounds)
    )
    region = (
        "{call} tin_count_begin\n nop\n" + nodes + "{load}99\n {call} tin_on_node\n nop\n nop\n {call} tin_count_end\n"
    )
    return "main:\n {save}\n nop\n" + region * repeat + "{leave}\n"
