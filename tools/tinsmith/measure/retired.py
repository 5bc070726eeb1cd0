"""Counting retired instructions exactly, for a whole inference and for each node.

The firmware calls `tin_count_begin()` and `tin_count_end()` around what it wants counted, and
`tin_on_node(k)` before node k and once more behind the last node. All three must be real functions
(noinline) that neither call nor loop; their instructions do not count. The same ELF file gives the
same counts on every machine. Instructions are not cycles.

The two or three instructions of each call to `tin_on_node` do count, for the node before. So build
with instrument="count" for the shares of the nodes, and with instrument="none" for the total of the
firmware that ships. A build with instrument="check" is refused: its hook checks guards, in a loop.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from tinsmith.errors import TargetError
from tinsmith.measure.elf import Function, functions

PLUGIN_SOURCE = Path(__file__).with_name("retired.c")
MARKERS = {"begin": "tin_count_begin", "end": "tin_count_end", "node": "tin_on_node"}
_COMPILE = ("-std=c99", "-O2", "-shared", "-fPIC")
_HEADER = "tinsmith-retired 1"
_ERRORS = {
    "begin-inside-region": "tin_count_begin was called again before tin_count_end",
    "region-left-open": "the firmware stopped between tin_count_begin and tin_count_end",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A straight run of instructions: `size` bytes at `address`, run `runs` times, left by a jump `taken` times."""

    address: int
    size: int
    instructions: int
    runs: int
    taken: int

    @property
    def retired(self) -> int:
        return self.instructions * self.runs


Blocks = tuple[Block, ...]


@dataclass(frozen=True)
class Counts:
    """One region. `before` ran ahead of the first node, `after` behind the last, `per_node[k]` is node k.

    Without calls to `tin_on_node`, everything is in `before`.
    """

    before: Blocks
    per_node: tuple[Blocks, ...]
    after: Blocks

    @property
    def nodes(self) -> tuple[int, ...]:
        """Retired instructions of each node."""
        return tuple(_retired(blocks) for blocks in self.per_node)

    @property
    def overhead(self) -> int:
        """Retired instructions outside of all nodes."""
        return _retired(self.before) + _retired(self.after)

    @property
    def total(self) -> int:
        """Retired instructions of the region."""
        return self.overhead + sum(self.nodes)

    @property
    def blocks(self) -> Blocks:
        """All blocks; one that several nodes share appears once for each."""
        return self.before + tuple(block for blocks in self.per_node for block in blocks) + self.after


def _retired(blocks: Blocks) -> int:
    return sum(block.retired for block in blocks)


def merged(regions: Sequence[Counts]) -> Counts:
    """Regions of one inference that was interrupted, as one. What follows an interruption is outside of all nodes until
    the next node begins."""
    nodes = [blocks for region in regions for blocks in (*region.per_node, region.after) if blocks]
    return Counts(sum((region.before for region in regions), ()), tuple(nodes[:-1]), nodes[-1] if nodes else ())


class Counter:
    """Counts what one run of an ELF file in QEMU retires.

        with Counter(elf) as counter:
            run QEMU with counter.qemu_args added
            counts = counter.regions()

    Raises TargetError if the markers are missing, or the plugin cannot be built.
    """

    def __init__(self, elf: Path) -> None:
        self._elf = elf
        self._markers = _marker_arguments(elf)
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        self._plugin = build_plugin()
        self._directory = tempfile.TemporaryDirectory(prefix="tinsmith-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    @property
    def _result(self) -> Path:
        assert self._directory is not None, "Counter is a context manager"
        return Path(self._directory.name, "counts")

    @property
    def qemu_args(self) -> tuple[str, ...]:
        """What to add to QEMU's command line."""
        parts = (str(self._plugin), *self._markers, f"out={self._result}")
        return "-plugin", ",".join(part.replace(",", ",,") for part in parts)

    def regions(self) -> list[Counts]:
        """The counts of each region that the last run went through. Raises TargetError if it left none."""
        if not self._result.exists():
            raise TargetError(f"{self._elf}: QEMU was killed, or runs no plugins: it left no instruction counts")
        try:
            return parse(self._result.read_text(encoding="ascii"))
        except TargetError as error:
            raise TargetError(f"{self._elf}: {error}") from error


def _marker_arguments(elf: Path) -> tuple[str, ...]:
    known = functions(elf)
    arguments = []
    for key, name in MARKERS.items():
        function = known.get(name)
        if function is None and key == "node":
            continue
        if function is None or function.size == 0:
            raise TargetError(f"{elf}: counting needs a function {name} whose symbol has a size")
        arguments.append(f"{key}={function.address:x}+{function.size:x}")
    return tuple(arguments)


def parse(text: str) -> list[Counts]:
    """Reads what the plugin wrote. Raises TargetError if the firmware broke a rule, or the text is damaged."""
    header, *lines = text.splitlines() or [""]
    if header != _HEADER or not lines or not lines[-1].startswith("regions "):
        raise TargetError("the instruction counts are damaged or of another version")
    regions: list[Counts] = []
    buckets: list[list[Block]] = []
    for line in lines[:-1]:
        word, *rest = line.split()
        if word == "error":
            raise TargetError(_ERRORS.get(rest[0], f"{MARKERS.get(rest[-1])} must neither call nor loop"))
        if word == "region":
            buckets = []
        elif word == "bucket":
            buckets.append([])
        elif word == "end":
            regions.append(_counts(buckets))
            _check("instructions", regions[-1].total, int(rest[0]))
        else:
            buckets[-1].append(Block(int(word, 16), *(int(number) for number in rest)))
    _check("regions", len(regions), int(lines[-1].split()[1]))
    return regions


def _counts(buckets: list[list[Block]]) -> Counts:
    before, *rest = (tuple(sorted(bucket, key=lambda block: block.address)) for bucket in buckets)
    return Counts(before, tuple(rest[:-1]), rest[-1] if rest else ())


def _check(what: str, found: int, stated: int) -> None:
    if found != stated:
        raise TargetError(f"the instruction counts are damaged: {found} {what} listed, {stated} stated")


def by_function(elf: Path, blocks: Blocks) -> dict[str, int]:
    """Retired instructions of each function, most first; aliases of a function count under one name."""
    spans: list[Function] = sorted(functions(elf).values(), key=lambda function: (function.address, function.name))
    starts = [function.address for function in spans]
    tally: Tally[str] = Tally()
    for block in blocks:
        index = bisect.bisect_right(starts, block.address) - 1
        tally[spans[index].name if index >= 0 else "?"] += block.retired
    return dict(tally.most_common())


def build_plugin() -> Path:
    """The compiled plugin, built with the host's C compiler when its source is new. Raises TargetError."""
    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if compiler is None:
        raise TargetError("counting instructions needs a C compiler for this machine (cc), and there is none")
    flags = (*_COMPILE, f"-DPLUGIN_INTERFACE={_interface_version()}")
    key = hashlib.sha256(PLUGIN_SOURCE.read_bytes() + " ".join((*flags, platform.machine())).encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tinsmith")
    plugin = cache / f"retired-{key.hexdigest()[:16]}.so"
    if not plugin.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _compile(compiler, flags, plugin)
    return plugin


@cache
def _interface_version() -> int:
    """The plugin interface to declare: QEMU took 1 until 8.2 and wants 2 or more since 9.0. What the plugin uses is
    the same in both; only 7.2 was tried."""
    for program in ("qemu-system-arm", "qemu-system-riscv32"):
        try:
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            continue
        if found := re.search(r"version (\d+)\.", said):
            return 1 if int(found[1]) < 9 else 2
    return 1


def _compile(compiler: str, flags: Sequence[str], plugin: Path) -> None:
    """Builds beside the target and renames, so that a parallel build never loads half a file."""
    with tempfile.TemporaryDirectory(dir=plugin.parent) as directory:
        part = Path(directory, plugin.name)
        command = [compiler, *flags, str(PLUGIN_SOURCE), "-o", str(part)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise TargetError(f"{compiler} cannot build the counting plugin: {result.stderr.strip()}")
        os.replace(part, plugin)
