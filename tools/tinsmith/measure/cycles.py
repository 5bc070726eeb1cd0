"""An estimate of the cycles that a Cortex-M4 without wait states takes, from block counts and disassembly.

It is an estimate: flash wait states, bus conflicts, early-terminating divides and pipelining across
blocks are not in it. Never publish it as a latency, and never without the word.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tinsmith.errors import TargetError
from tinsmith.measure.elf import Instruction, arm_architecture, disassemble, words_moved
from tinsmith.measure.retired import Block, Blocks, Counts

TAKEN_BRANCH = 2  # refilling the pipeline takes 1 to 3 cycles


@dataclass(frozen=True)
class Rule:
    """Cycles of the instructions whose mnemonic starts with one of `mnemonics`: fixed plus per word moved."""

    mnemonics: tuple[str, ...]
    cycles: int
    per_word: int = 0


# After the instruction timings in the Cortex-M4 technical reference manual. The first match counts;
# what no rule names takes one cycle.
RULES = (
    Rule(("ldrd", "strd"), 3),
    Rule(("ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop", "vldr", "vstr"), 1, per_word=1),
    Rule(("ldr",), 2),
    Rule(("sdiv", "udiv"), 7),
    Rule(("vdiv", "vsqrt"), 14),
    Rule(("vmla", "vmls", "vnmla", "vnmls", "vfma", "vfms", "vfnma", "vfnms"), 3),
)
_SINGLE_LOAD, _SINGLE_STORE = "ldr", "str"


@dataclass(frozen=True)
class Cycles:
    """Estimated cycles of each node and of what lies outside of all nodes."""

    nodes: tuple[int, ...]
    overhead: int

    @property
    def total(self) -> int:
        return sum(self.nodes) + self.overhead


def applies(flags: Collection[str]) -> bool:
    """Whether compiler flags choose the one core that `estimate` knows.

    The file cannot tell: a Cortex-M7 has the same instructions and another pipeline.
    """
    return "-mcpu=cortex-m4" in flags


def estimate(elf: Path, counts: Counts, objdump: str | None = None) -> Cycles:
    """Estimates the cycles of one region. Raises TargetError unless `elf` holds code for a Cortex-M4."""
    architecture = arm_architecture(elf)
    if architecture != "v7E-M":
        raise TargetError(f"{elf}: cycles are estimated for the Cortex-M4 (v7E-M), and this is {architecture}")
    listing = disassemble(elf, objdump)
    known: dict[tuple[int, int], int] = {}

    def cost(blocks: Blocks) -> int:
        return sum(block.runs * once(block) + block.taken * TAKEN_BRANCH for block in blocks)

    def once(block: Block) -> int:
        key = block.address, block.instructions
        if key not in known:
            known[key] = block_cycles(_instructions(elf, listing, block))
        return known[key]

    return Cycles(tuple(cost(blocks) for blocks in counts.per_node), cost(counts.before) + cost(counts.after))


def _instructions(elf: Path, listing: Mapping[int, Instruction], block: Block) -> list[Instruction]:
    found, address = [], block.address
    for _ in range(block.instructions):
        if address not in listing:
            raise TargetError(f"{elf}: ran an instruction at {address:#x} that its disassembly does not list")
        found.append(listing[address])
        address += listing[address].size
    return found


def block_cycles(instructions: list[Instruction]) -> int:
    """Cycles of instructions that run one after the other, without the branch behind them."""
    total, behind_access = 0, False
    for instruction in instructions:
        single = _is_single(instruction.mnemonic)
        # Neighbouring single accesses overlap: the address phase of the second runs in the data phase of the first.
        total += 1 if single and behind_access else _cycles(instruction)
        behind_access = single
    return total


def _is_single(mnemonic: str) -> bool:
    return mnemonic.startswith((_SINGLE_LOAD, _SINGLE_STORE)) and not mnemonic.startswith(("ldrd", "strd"))


def _cycles(instruction: Instruction) -> int:
    for rule in RULES:
        if instruction.mnemonic.startswith(rule.mnemonics):
            return rule.cycles + (rule.per_word and rule.per_word * words_moved(instruction.operands))
    return 1
