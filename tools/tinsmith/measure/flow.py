"""What an instruction does to the stack pointer and to the flow of control, on Arm Thumb and on RISC-V.

Only as much as library code needs (division, memcpy, floating point): what is not understood is a
`problem`, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tinsmith.measure.elf import Instruction, words_moved

POINTER = "calls through a pointer"
REGISTER = "moves the stack pointer by a register"
MILLICODE_BYTES = 64  # the most that RISC-V's __riscv_save_N saves: 13 registers, aligned to 16 bytes

_ARM_CONTROL = re.compile(
    r"(blx|bl|bx|b|cbn?z|tb[bh]|push|pop|vpush|vpop|v?stmdb|v?ldmia|v?ldm|strd?|ldrd?|addw?|subw?|mov)"
    r"(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?(?:\.[nw])?"
)
_ARM_LOOPS = ("le", "letp", "wls", *(f"wlstp.{bits}" for bits in (8, 16, 32, 64)))  # Armv8.1-M; they end or skip
_NUMBER = re.compile(r"(-?\d+)")
_SCALED = re.compile(r"(?:lsls?|slli?|sll)(?:\.w)? .*,(?:#|0x)?[12]|sh2add .*|ldr(?:\.w)? pc,\[.*lsl#2\]")
_MILLICODE = re.compile(r"__riscv_(save|restore)_\d+")


@dataclass(frozen=True)
class Effect:
    """`pushed` bytes (negative: popped), then a call, a jump, or the next instruction if it `falls` through.

    A `computed` jump goes where a register says: to a case of a switch, if a table is behind it.
    """

    pushed: int = 0
    call: int | None = None
    jump: int | None = None
    computed: bool = False
    falls: bool = True
    problem: str = ""


NOTHING = Effect()
END = Effect(falls=False)


def _arm(instruction: Instruction) -> Effect:
    match = _ARM_CONTROL.fullmatch(instruction.mnemonic)
    operands = instruction.operands.replace(" ", "")
    if instruction.mnemonic == "udf":
        return END
    if instruction.mnemonic in _ARM_LOOPS:
        return Effect(jump=instruction.target)
    if match is None:
        writes = operands.startswith(("sp,", "pc,")) or re.search(r"\[sp[^]]*\](!|,#)", operands)
        return Effect(problem=REGISTER) if writes else NOTHING
    base, condition = match[1], match[2]
    effect = _arm_branch(base, instruction, operands) if base[0] in "bct" else _arm_stack(base, operands)
    if condition and base != "bl":
        # Not executed, it would pop nothing and go on.
        effect = replace(effect, pushed=max(effect.pushed, 0), falls=True)
    return effect


def _arm_branch(base: str, instruction: Instruction, operands: str) -> Effect:
    if base == "bx":
        return END if operands == "lr" else Effect(falls=False, problem=POINTER)
    if base in ("bl", "blx"):
        return Effect(problem=POINTER) if instruction.target is None else Effect(call=instruction.target)
    if base in ("tbb", "tbh"):
        return Effect(computed=True, falls=False)
    return Effect(jump=instruction.target, falls=base != "b")


def _arm_stack(base: str, operands: str) -> Effect:
    down = base in ("push", "vpush") or (base.endswith("stmdb") and operands.startswith("sp!"))
    up = base in ("pop", "vpop") or ("ldm" in base and operands.startswith("sp!"))
    returns = re.search(r"\bpc\b", operands) is not None
    if down or up:
        return Effect(pushed=4 * words_moved(operands) * (1 if down else -1), falls=not (up and returns))
    if operands.startswith("sp,{") and not returns:
        return NOTHING  # many registers, and the stack pointer stays
    if base[:3] in ("ldr", "str") and not operands.startswith("sp,"):
        moved = re.search(r"\[sp(?:,#(-?\d+)\]!|\],#(-?\d+))", operands)
        loads_pc = base == "ldr" and operands.startswith("pc,")
        pushed = -int(moved[1] or moved[2]) if moved else 0
        return Effect(pushed, computed=loads_pc and not moved, falls=not loads_pc)
    if operands.startswith("pc,"):
        return END if operands == "pc,lr" else Effect(computed=True, falls=False)
    if not operands.startswith("sp,"):
        return NOTHING
    fixed = re.fullmatch(r"sp,(?:sp,)?#(\d+)", operands)
    if base == "mov":
        # From the frame pointer it frees; from any other register it may be anything.
        return NOTHING if operands == "sp,r7" else Effect(problem=REGISTER)
    if fixed is None:
        return Effect(problem=REGISTER)
    return Effect(int(fixed[1]) * (1 if base.startswith("sub") else -1))


def _riscv(instruction: Instruction) -> Effect:
    name, target = instruction.mnemonic.removeprefix("c."), instruction.target
    operands = instruction.operands.replace(" ", "")
    millicode = _MILLICODE.search(operands)
    if millicode is not None:
        return Effect(pushed=MILLICODE_BYTES) if millicode[1] == "save" else END
    if name in ("ret", "mret"):
        return END
    if name in ("jal", "call") or (name == "jalr" and not operands.startswith("zero,")):
        return Effect(problem=POINTER) if target is None else Effect(call=target)
    if name in ("j", "jr", "tail", "jalr"):
        return Effect(jump=target, computed=target is None, falls=False)
    if name.startswith("b"):
        return Effect(jump=target)
    if operands.startswith("sp,") and not name.startswith(("sw", "fs")):
        fixed = re.fullmatch(r"sp,(?:sp,)?(-?\d+)", operands)
        if name in ("add", "addi", "addi16sp") and fixed is not None:
            return Effect(-int(fixed[1]))
        from_frame = (name == "mv" and operands == "sp,s0") or re.fullmatch(r"sp,s0,-\d+", operands)
        return NOTHING if from_frame else Effect(problem=REGISTER)
    return NOTHING


DECODERS: Mapping[str, Callable[[Instruction], Effect]] = {"EM_ARM": _arm, "EM_RISCV": _riscv}


@dataclass(frozen=True)
class Walk:
    """A library function: bytes it pushes itself, its calls with the bytes pushed by then, and what is unclear."""

    pushed: int
    calls: Mapping[int, int]
    problems: tuple[str, ...]


def walk(
    listing: Mapping[int, Instruction],
    decode: Callable[[Instruction], Effect],
    entry: int,
    extent: Callable[[int], range],
) -> Walk:
    """Follows all paths from `entry` until they return; jumps into other functions count as the same one.

    `extent` gives the addresses of the function around an address.
    """
    deepest: dict[int, int] = {}
    calls: dict[int, int] = {}
    problems: dict[str, None] = {}
    pending = [(entry, 0)]
    while pending:
        address, pushed = pending.pop()
        if deepest.get(address, -1) >= pushed:
            continue
        deepest[address] = pushed
        instruction = listing.get(address)
        if instruction is None or instruction.mnemonic.startswith("."):
            problems[f"runs into data at {address:#x}"] = None
            continue
        effect = decode(instruction)
        pushed = max(pushed + effect.pushed, 0)
        problem = "pushes in a loop" if pushed > 1 << 16 else effect.problem
        if effect.call is not None:
            calls[effect.call] = max(calls.get(effect.call, 0), pushed)
        if effect.falls:
            pending.append((address + instruction.size, pushed))
        if effect.jump is not None:
            pending.append((effect.jump, pushed))
        if effect.computed:
            cases = _cases(listing, extent(address), address)
            pending.extend((case, pushed) for case in cases)
            problem = problem if cases else POINTER
        if problem:
            problems[problem] = None
            pending = [] if pushed > 1 << 16 else pending
    return Walk(max(deepest.values()), calls, tuple(problems))


def _cases(listing: Mapping[int, Instruction], function: range, jump: int) -> list[int]:
    """Where a switch may jump to: anything behind it. Nothing, if it is not a switch but a pointer.

    A switch scales its index to the size of the table's entries just before it jumps.
    """
    before = [listing[address] for address in range(jump - 24, jump) if address in listing and address in function]
    table = listing[jump].mnemonic.startswith("tb") or any(
        _SCALED.fullmatch(f"{i.mnemonic} {i.operands}".replace(", ", ",")) for i in (*before[-6:], listing[jump])
    )
    behind = (listing[address] for address in range(jump + 1, function.stop) if address in listing)
    # Data behind the code is aligned with a nop that nothing reaches.
    return [i.address for i in behind if not i.mnemonic.startswith((".", "nop"))] if table else []
