"""The most stack that a function of a firmware can need, without running it.

Frames of our own code are GCC's, from the .ci files that -fcallgraph-info=su writes; calls are those
of the .ci files and those in the linked code. Library functions have no .ci files, and are followed
instruction by instruction. What cannot be bounded is an error: recursion, calls through pointers and
frames of variable size. Interrupts are not in it: add what their handlers need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tinsmith.errors import InputError, TargetError
from tinsmith.measure.elf import Instruction, all_functions, disassemble, machine
from tinsmith.measure.flow import DECODERS, POINTER, walk

INDIRECT = "__indirect_call"  # GCC's name for the unknown callee
_NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "([^"]*)"')
_EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_USAGE = re.compile(r"\\n(\d+) bytes \((static|dynamic|dynamic,bounded)\)")


@dataclass(frozen=True)
class Frame:
    """A function on the deepest path, and the bytes it has on the stack when it calls the next one."""

    function: str
    bytes: int


@dataclass(frozen=True)
class Stack:
    """The deepest path from the entry point."""

    path: tuple[Frame, ...]

    @property
    def bytes(self) -> int:
        return sum(frame.bytes for frame in self.path)


@dataclass
class _Own:
    """A function of our code, or several with the same name."""

    definitions: int = 0
    bytes: int = 0
    dynamic: bool = False
    callees: set[str] = field(default_factory=set)


def worst_case(
    elf: Path,
    call_graphs: Iterable[Path],
    entry: str,
    pointers: Mapping[str, Sequence[str]] | None = None,
    objdump: str | None = None,
) -> Stack:
    """The stack of `entry` and all it calls, in bytes.

    `call_graphs` are the .ci files of the code in `elf`; `pointers` names the functions that a
    function may call through a pointer. Raises InputError if there is no such function, and
    TargetError, with the function's name, for what cannot be bounded.
    """
    return _Analysis(elf, read_call_graphs(call_graphs), pointers or {}, objdump).stack(entry)


def read_call_graphs(files: Iterable[Path]) -> dict[str, _Own]:
    """Functions by name. Static ones that share a name are taken together, with the largest frame."""
    found: dict[str, _Own] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            node, edge = _NODE.match(line), _EDGE.match(line)
            usage = _USAGE.search(node[2]) if node else None
            if node and usage:
                own = found.setdefault(_plain(node[1]), _Own())
                own.definitions += 1
                own.bytes = max(own.bytes, int(usage[1]))
                own.dynamic |= usage[2] == "dynamic"
            elif edge:
                found.setdefault(_plain(edge[1]), _Own()).callees.add(_plain(edge[2]))
    return found


def _plain(title: str) -> str:
    """GCC writes static functions as FILE:NAME."""
    return title.rsplit(":", 1)[-1]


class _Analysis:
    def __init__(
        self, elf: Path, own: Mapping[str, _Own], pointers: Mapping[str, Sequence[str]], objdump: str | None
    ) -> None:
        kind = machine(elf)
        if kind not in DECODERS:
            raise TargetError(f"{elf}: the stack of {kind} code is not understood")
        self._decode, self._listing = DECODERS[kind], disassemble(elf, objdump)
        self._own, self._pointers = own, pointers
        self._ranges: dict[str, list[range]] = {}
        self._names: dict[int, str] = {}
        self._cold: set[int] = set()
        for function in all_functions(elf):
            # GCC moves unlikely parts of a function to NAME.cold.
            name = function.name.removesuffix(".cold")
            if name != function.name:
                self._cold.add(function.address)
            self._ranges.setdefault(name, []).append(range(function.address, function.address + function.size))
            if self._names.get(function.address) not in own:
                self._names[function.address] = name
        self._known: dict[str, tuple[Frame, ...]] = {}

    def stack(self, entry: str) -> Stack:
        if entry not in self._ranges:
            raise InputError(f"the firmware has no function {entry}")
        return Stack(self._path(entry, ()))

    def _path(self, name: str, callers: tuple[str, ...]) -> tuple[Frame, ...]:
        if name in callers:
            cycle = " -> ".join((*callers[callers.index(name) :], name))
            raise TargetError(f"the stack has no bound: {cycle} is recursive")
        if name not in self._known:
            needs = self._own_needs(name) if name in self._own else self._library_needs(name)
            options = [
                (Frame(name, pushed), self._path(callee, (*callers, name)) if callee else ())
                for callee, pushed in needs.items()
            ]
            frame, rest = max(options, key=lambda option: option[0].bytes + sum(f.bytes for f in option[1]))
            self._known[name] = (frame, *rest)
        return self._known[name]

    def _own_needs(self, name: str) -> dict[str, int]:
        """Callees with the bytes on the stack at the call; "" for no callee."""
        own = self._own[name]
        parts = [span for span in self._ranges[name] if span.start not in self._cold]
        if len(set(parts)) > own.definitions:
            raise TargetError(f"the stack is unknown: {name} is both in our code and in a library")
        if own.dynamic:
            raise TargetError(f"the stack has no bound: the frame of {name} has a variable size")
        if INDIRECT in own.callees and name not in self._pointers:
            raise TargetError(f"the stack is unknown: {name} {POINTER}")
        callees = {callee for callee in own.callees if callee in self._ranges and callee != INDIRECT}
        callees.update(self._linked_calls(name), self._pointers.get(name, ()))
        return dict.fromkeys(("", *sorted(callees)), own.bytes)

    def _linked_calls(self, name: str) -> set[str]:
        """Calls in the linked code: GCC does not list those to its own helpers."""
        found = set()
        for span in self._ranges.get(name, ()):
            for instruction in self._instructions(span):
                effect = self._decode(instruction)
                if effect.call is not None and not self._is_inside(name, effect.call):
                    found.add(self._name(effect.call))
                elif effect.jump is not None and self._names.get(effect.jump, name) != name:
                    found.add(self._name(effect.jump))
        return found

    def _is_inside(self, name: str, address: int) -> bool:
        """Whether a call is a jump: where Armv6-M's branches do not reach, GCC jumps with a bl."""
        return any(address in span and address != span.start for span in self._ranges[name])

    def _instructions(self, span: range) -> list[Instruction]:
        return [self._listing[address] for address in span if address in self._listing]

    def _name(self, address: int) -> str:
        """The function that starts here. Assembly code also calls into the middle of functions."""
        if address not in self._names:
            around = self._extent(address)
            name = f"{self._names.get(around.start, 'unknown')}+{address - around.start:#x}"
            self._names[address], self._ranges[name] = name, [range(address, around.stop)]
        return self._names[address]

    def _extent(self, address: int) -> range:
        """The addresses of the function around `address`."""
        around = (span for spans in self._ranges.values() for span in spans if address in span)
        return max(around, key=len, default=range(address, address + 1))

    def _library_needs(self, name: str) -> dict[str, int]:
        if name not in self._ranges:
            raise InputError(f"the firmware has no function {name}")
        result = walk(self._listing, self._decode, self._ranges[name][0].start, self._extent)
        problems = [p for p in result.problems if p != POINTER or name not in self._pointers]
        if problems:
            raise TargetError(f"the stack is unknown: the library function {name} {' and '.join(problems)}")
        needs = {"": result.pushed, **dict.fromkeys(self._pointers.get(name, ()), result.pushed)}
        needs.update((self._name(address), pushed) for address, pushed in result.calls.items())
        return needs
