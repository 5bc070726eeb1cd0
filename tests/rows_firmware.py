"""Firmware that feeds kernels their inputs row by row through rings of two rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinsmith import emulate, targets, toolchain
from tinsmith.emit.core import struct_name
from tinsmith.emit.render import c_integer, c_values
from tinsmith.graph import Array
from tinsmith.measure.retired import Counter
from tinsmith.ops import Call, Op
from tinsmith.ops.params import c_fields
from tinsmith.toolchain import Built, Instrument

RING = 2  # rows

HEADER = """#include "tin.h"
#define ROWS_ARENA_BYTES {bytes}
extern const tin_model rows_model;
"""
SOURCE = """#include <string.h>
#include "rows.h"
#include "tin_ops.h"
{cases}
static tin_status run(void *memory, size_t bytes)
{{
    uint8_t *arena = memory;
    (void)bytes;
{calls}
    TIN_ON_NODE({count});
    return TIN_OK;
}}
static const tin_tensor_info inputs[] = {{ {inputs} }};
static const tin_tensor_info outputs[] = {{ {outputs} }};
const tin_model rows_model = {{
    "rows", ROWS_ARENA_BYTES, {count}, {count}, {count}, inputs, outputs, run, 0, NULL, 0, NULL,
}};
"""
CALL = """    for (int32_t row = 0; row < {rows}; row++)
        memcpy(tin_row_out(&case{i}.in, arena, row), arena + {x} + row * {stride}, {stride}),
        TIN_ON_NODE({i}), {kernel}(&case{i}, arena, row, row + 1), TIN_ON_NODE({i});
"""


class Layout:
    """Offsets of one case after the other."""

    def __init__(self) -> None:
        self.end = 0

    def place(self, nbytes: int) -> int:
        self.end, start = self.end + -(-nbytes // 4) * 4, self.end
        return start


def parameters(call: Call, op: Op, index: int, offsets: tuple[int, int, int]) -> str:
    """C definitions of a case's constants and parameters; `offsets` of output, ring and state."""
    rows, fields, arrays = op.rows(call, call.x), [], []
    for name, ctype, _ in c_fields(type(params := op.params(call))):
        value = getattr(params, name)
        if ctype.pointer:
            arrays.append(f"static const {ctype.name} {name}{index}[] = {{\n{c_values(np.asarray(value))}\n}};")
            fields.append(f".{name} = {name}{index}")
        else:
            fields.append(f".{name} = {c_integer(int(value))}")
    views = f".in = {{ NULL, {offsets[1]}, {rows[1]}, {min(rows[0], RING)} }}"
    views += f", .out = {{ NULL, {offsets[0]}, {call.y.nbytes}, 1 }}, .state = {offsets[2]}"
    return "\n".join([*arrays, f"static const {struct_name(op)} case{index} = {{ {', '.join([views, *fields])} }};"])


def sources(cases: Sequence[tuple[Call, Op]]) -> tuple[str, str]:
    """rows.h and rows.c: a model of one node a case."""
    layout, parts, calls = Layout(), [], []
    inputs: list[str] = []
    outputs: list[str] = []
    for i, (call, op) in enumerate(cases):
        count, stride = op.rows(call, call.x)
        x, y, ring = (layout.place(n) for n in (call.x.nbytes, call.y.nbytes, RING * stride))
        parts.append(parameters(call, op, i, (y, ring, layout.place(op.state_bytes(call)))))
        calls.append(CALL.format(i=i, rows=count, x=x, stride=stride, kernel=op.kernel))
        for infos, offset, nbytes in ((inputs, x, call.x.nbytes), (outputs, y, call.y.nbytes)):
            infos.append(f'{{ "", {offset}, {nbytes}, TIN_INT8, 1, {{ {nbytes} }}, 0, 0 }}')
    text = SOURCE.format(
        cases="\n".join(parts), calls="".join(calls), count=len(cases), inputs=", ".join(inputs),
        outputs=", ".join(outputs),
    )  # fmt: skip
    return HEADER.format(bytes=layout.end), text


def build(
    cases: Sequence[tuple[Call, Op]], target: str, folder: Path, instrument: Instrument = "check", optimize: str = "-O2"
) -> Built:
    folder.mkdir()
    for name, text in zip(("rows.h", "rows.c"), sources(cases), strict=True):
        (folder / name).write_text(text)
    kernels = sorted({toolchain.FIRMWARE / "core" / source for _, op in cases for source in op.sources})
    return toolchain.build(
        targets.load(target), [folder / "rows.c", *kernels], [folder], folder / "rows.elf", optimize=optimize,
        instrument=instrument, defines=toolchain.infer_defines("rows"),
    )  # fmt: skip


def run(built: Built, calls: Sequence[Call], inputs: Sequence[Array]) -> list[Array]:
    """The output of every case."""
    (data,) = emulate.run(built, [b"".join(x.tobytes() for x in inputs)]).outputs
    ends = np.cumsum([call.y.nbytes for call in calls])
    parts = np.split(np.frombuffer(data, np.int8), ends[:-1])
    return [part.reshape(call.y.shape) for part, call in zip(parts, calls, strict=True)]


def instructions(built: Built, cases: Sequence[tuple[Call, Op]], inputs: Sequence[Array]) -> list[int]:
    """Retired instructions of each case (of a build with instrument="count"), without the feeding of its rows."""
    with Counter(built.output) as counter:
        emulate.run(built, [b"".join(x.tobytes() for x in inputs)], qemu_args=counter.qemu_args)
        kernels = iter(counter.regions()[-1].nodes[::2])  # between them rows are fed
        return [sum(itertools.islice(kernels, op.step_count(call))) for call, op in cases]
