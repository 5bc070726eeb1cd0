"""Other people's generated C, built and counted exactly as the project's own.

The same main loop, ports, compiler, flags, emulator and counting plugin; an adapter presents the
peer's function as a model whose arena holds its input, its output and its working memory.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinsmith import emulate, targets, toolchain
from tinsmith.errors import TargetError
from tinsmith.measure.retired import Counter
from tinsmith.measure.sizes import flash
from tinsmith.measure.stack import worst_case

ALIGN = 16  # of the working memory; what bakenn asks for
_NAME = "peer"
_KEPT = re.compile(r"\s0x[0-9a-f]+\s+0x0*[1-9a-f][0-9a-f]* (\S+\.o)$", re.MULTILINE)


class Refused(Exception):
    """A peer does not take a model; the message is its own."""


@dataclass(frozen=True)
class Generated:
    """C that a peer wrote, and how it is called.

    `call` is a C statement over `in`, `out` and `work` (all `uint8_t *`); sizes are in bytes.
    """

    sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...]
    headers: tuple[str, ...]
    call: str
    entry: str  # the function that firmware calls
    input_bytes: int
    output_bytes: int
    work_bytes: int
    defines: tuple[str, ...] = ()


@dataclass(frozen=True)
class PeerCost:
    """Figures of a peer; RAM is working memory and what the caller must keep for input and output."""

    instructions: int
    ram_bytes: int
    stack_bytes: int | None  # None if it has no bound that can be computed
    flash_code_bytes: int
    flash_data_bytes: int
    outputs: tuple[bytes, ...]  # for each sample


_ADAPTER_H = """\
#include "tin.h"
#define PEER_ARENA_BYTES {arena}
extern const tin_model peer_model;
"""
_ADAPTER_C = """\
#include "peer.h"
#include "peer_quiet.h"

static tin_status run(void *arena, size_t bytes)
{{
    uint8_t *const in = arena;
    uint8_t *const out = in + {input_end};
    uint8_t *const work = (uint8_t *)(((uintptr_t)out + {output_end} + {align} - 1) & ~(uintptr_t)({align} - 1));
    (void)bytes;
    (void)work;
    {call}
    return TIN_OK;
}}

static const tin_tensor_info input = {{"in", 0, {input}, TIN_INT8, 1, {{{input}}}, 0, 0}};
static const tin_tensor_info output = {{"out", {input_end}, {output}, TIN_INT8, 1, {{{output}}}, 0, 0}};
const tin_model peer_model = {{"peer", PEER_ARENA_BYTES, 0, 1, 1, &input, &output, run, 0, NULL, 0, NULL}};
"""


def measure(generated: Generated, target_name: str, samples: Sequence[bytes], optimize: str = "-O2") -> PeerCost:
    """Counts an inference on the last sample. Raises TargetError if the code cannot be built or run."""
    target = targets.load(target_name)
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as name:
        folder = Path(name)
        sources = _write(generated, folder)
        built = toolchain.build(
            target, sources, [folder, *generated.include_dirs], folder / "peer.elf", optimize=optimize,
            instrument="none", defines=[*toolchain.infer_defines(_NAME), *generated.defines], keep=[generated.entry],
        )  # fmt: skip
        with Counter(built.output) as counter:
            response = emulate.run(built, samples, qemu_args=counter.qemu_args)
            counts = counter.regions()[-1]
        assert built.map_file is not None
        sizes = flash(built.map_file, _linked(built), [generated.entry])
        ram = generated.input_bytes + generated.output_bytes + generated.work_bytes + sizes.ram_bytes
        stack = _stack(built, generated.entry)
    return PeerCost(counts.total, ram, stack, sizes.code_bytes, sizes.data_bytes, response.outputs)


def _linked(built: toolchain.Built) -> list[Path]:
    """The model's objects of which the linker kept anything: peers hand over files that they do not use."""
    assert built.map_file is not None
    text = built.map_file.read_text(encoding="utf-8").partition("Linker script and memory map")[2]
    kept = {(built.map_file.parent / name).resolve() for name in _KEPT.findall(text)}
    return [path for path in sorted((built.objects / "model").glob("*.o")) if path.resolve() in kept]


def _stack(built: toolchain.Built, entry: str) -> int | None:
    try:
        return worst_case(built.output, sorted((built.objects / "model").glob("*.ci")), entry).bytes
    except TargetError:
        return None


def _write(generated: Generated, folder: Path) -> list[Path]:
    """The adapter, and a file around each source that keeps our warnings off other people's code."""
    input_end, output_end = (-(-n // 4) * 4 for n in (generated.input_bytes, generated.output_bytes))
    arena = input_end + output_end + generated.work_bytes + ALIGN
    (folder / "peer.h").write_text(_ADAPTER_H.format(arena=arena))
    (folder / "peer_quiet.h").write_text(_quiet(f"#include <{h}>" for h in generated.headers))
    adapter = folder / "peer_adapter.c"
    adapter.write_text(
        _ADAPTER_C.format(
            input=generated.input_bytes, input_end=input_end, output=generated.output_bytes, output_end=output_end,
            align=ALIGN, call=generated.call,
        )
    )  # fmt: skip
    sources = [adapter]
    for number, source in enumerate(generated.sources):
        (folder / f"peer_{number}.h").write_text(_quiet([f'#include "{source.resolve()}"']))
        # Some of their files hold nothing for some cores, which ISO C forbids.
        (folder / f"peer_{number}.c").write_text(f'#include "peer_{number}.h"\ntypedef char peer_{number}_is_here;\n')
        sources.append(folder / f"peer_{number}.c")
    return sources


def _quiet(lines: Iterable[str]) -> str:
    return "\n".join(["#pragma GCC system_header", *lines, ""])
