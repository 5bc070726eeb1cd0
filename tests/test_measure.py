"""What a firmware costs is measured, not guessed: each figure is compared with one known beforehand."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tinsmith.errors import TargetError
from tinsmith.measure import retired
from tinsmith.measure.elf import functions
from tinsmith.measure.retired import Block, Counter, Counts

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

HOOKS = """
    .irp name, tin_count_begin, tin_on_node, tin_count_end
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
        """Skips the test if a program is missing; automation has to have them all."""
        missing = [name for name in (f"{self.prefix}gcc", self.emulator[0], "cc") if shutil.which(name) is None]
        if missing and os.environ.get("CI") == "true":
            pytest.fail(f"not installed: {', '.join(missing)}")
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")

    def build(self, directory: Path, *files: str, flags: tuple[str, ...] = ()) -> Path:
        """Compiles named texts ("NAME.c" or "NAME.S", newline, text) into directory/firmware.elf and .map."""
        directory.mkdir(exist_ok=True)
        objects = [self.compile(directory, file, flags) for file in ("start.S\n" + self.start, *files)]
        script = directory / "link.ld"
        script.write_text(
            f"ENTRY(_start) SECTIONS {{ . = {self.text:#x}; .text : {{ KEEP(*(.start)) *(.text*) *(.rodata* .srodata*) }}"
            f" . = {self.data:#x}; .data : {{ *(.data* .sdata*) }} .bss : {{ *(.bss* .sbss* COMMON) }} }}"
        )
        elf = directory / "firmware.elf"
        self.run_gcc(
            directory, "-nostartfiles", "-Wl,--gc-sections", "-T", "link.ld", "-Wl,-Map,firmware.map", *objects,
            "-o", elf.name,
        )  # fmt: skip
        return elf

    def compile(self, directory: Path, file: str, flags: tuple[str, ...] = ()) -> str:
        name, text = file.split("\n", 1)
        (directory / name).write_text(text)
        output = name.rsplit(".", 1)[0] + ".o"
        self.run_gcc(directory, "-ffunction-sections", "-fdata-sections", *flags, "-c", name, "-o", output)
        return output

    def run_gcc(self, directory: Path, *arguments: str) -> None:
        command = [f"{self.prefix}gcc", *self.flags, *arguments]
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


def assembly(machine: Machine, body: str) -> str:
    """Firmware in assembly: hooks and `main`; {words} in `body` stand for the machine's instructions."""
    words = WORDS[machine]
    return "code.S\n" + (words["head"] + HOOKS + body + "\n .size main, . - main\n").format(**words)


def loops(*rounds: int, repeat: int = 1) -> str:
    """A region in which node k counts rounds[k] down to zero; the whole region comes `repeat` times."""
    nodes = "".join(
        f"{{load}}{k}\n {{call}} tin_on_node\n {{load}}{n}\n {k}1: {{loop}} {k}1b\n" for k, n in enumerate(rounds)
    )
    region = (
        "{call} tin_count_begin\n nop\n" + nodes + "{load}99\n {call} tin_on_node\n nop\n nop\n {call} tin_count_end\n"
    )
    return "main:\n {save}\n nop\n" + region * repeat + "{leave}\n"


@MACHINES
def test_counts_are_exactly_those_of_the_source(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    rounds = (100, 1, 250)
    (counts,) = machine.count(machine.build(tmp_path, assembly(machine, loops(*rounds))))
    # Load, two instructions a round, and the two that call the hook for the next node.
    assert counts.nodes == tuple(1 + 2 * n + 2 for n in rounds)
    # Before: nop and a call of the hook; after: two nops and the call of tin_count_end.
    assert counts.overhead == 3 + 3
    assert counts.total == sum(counts.nodes) + 6


@MACHINES
def test_branches_taken_are_counted_per_block(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    elf = machine.build(tmp_path, assembly(machine, loops(100)))
    (counts,) = machine.count(elf)
    # The loop jumps back 99 times; the call of the hook behind it is taken once.
    assert sum(block.taken for block in counts.per_node[0]) == 99 + 1
    start = functions(elf)["main"].address
    assert all(start < block.address < start + 100 for block in counts.blocks)
    assert retired.by_function(elf, counts.blocks) == {"main": counts.total}


@MACHINES
def test_regions_and_runs_agree(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    elf = machine.build(tmp_path, assembly(machine, loops(7, 8, repeat=3)))
    first, again = machine.count(elf), machine.count(elf)
    assert first == again
    assert [region.nodes for region in first] == [(17, 19)] * 3


@MACHINES
def test_code_without_nodes_counts_as_overhead(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    body = "main:\n {save}\n {call} tin_count_begin\n nop\n {call} tin_count_end\n nop\n {leave}\n"
    (counts,) = machine.count(machine.build(tmp_path, assembly(machine, body)))
    assert (counts.total, counts.nodes, counts.overhead) == (2, (), 2)


def test_instructions_that_are_skipped_count(tmp_path: Path) -> None:
    ARM.need()
    skipped = "cmp r0, r0\n ittt ne\n addne r0, #1\n addne r0, #1\n addne r0, #1\n"
    body = "main:\n {save}\n {call} tin_count_begin\n" + skipped + "{call} tin_count_end\n {leave}\n"
    (counts,) = ARM.count(ARM.build(tmp_path, assembly(ARM, body)))
    assert counts.total == 6


@MACHINES
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("main:\n {save}\n {call} tin_count_begin\n {leave}\n", "stopped between tin_count_begin and tin_count_end"),
        ("main:\n {save}\n {call} tin_count_begin\n {call} tin_count_begin\n {leave}\n", "was called again"),
    ],
)
def test_regions_that_do_not_match_are_errors(machine: Machine, body: str, message: str, tmp_path: Path) -> None:
    machine.need()
    elf = machine.build(tmp_path, assembly(machine, body))
    with pytest.raises(TargetError, match=message) as error:
        machine.count(elf)
    assert str(elf) in str(error.value)
