"""firmware/core/tin_ops.h: parameters and prototypes of all kernels, from the table of ops."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ops.base import Op
from ..ops.params import c_fields
from .render import render


def struct_name(op: Op) -> str:
    return f"{op.kernel}_params"


def core_header() -> str:
    """The text of tin_ops.h."""
    entries = [
        {
            "text": f"{op.name}{f' for {op.arch}' if op.arch else ''}: {op.__doc__}",
            "struct": struct_name(op),
            "kernel": op.kernel,
            "fields": members(op),
            "parts": [{"macro": op.part_macro(part), "text": text} for part, text in op.parts.items()],
        }
        for op in kernels().values()
        if op.Params is not None
    ]
    return render("tin_ops.h.j2", ops=entries)


def kernels() -> dict[str, Op]:
    """One op of each kernel, by the kernel's name: forms for streamed input may share one with the ordinary form."""
    found: dict[str, Op] = {}
    for op in (*ops.table().values(), *ops.all_special_kernels().values()):
        found.setdefault(op.kernel, op)
    return found


def members(op: Op) -> list[dict[str, Any]]:
    """Declarations of a parameter struct: the views of its tensors, then what the op lists."""
    assert op.Params is not None
    count = op.runtime_arity
    inputs = "const tin_rows *in" if count is None else "tin_rows in" if count == 1 else f"tin_rows in[{count}]"
    lines = [(inputs, "inputs" if count != 1 else "input"), ("tin_rows out", "output")]
    if op.needs_scratch:
        lines.append(("uint32_t scratch", "bytes from the start of the arena"))
    if op.needs_state:
        lines.append(("uint32_t state", "bytes from the start of the arena to what is kept from step to step"))
    for name, ctype, text in c_fields(op.Params):
        lines.append((f"const {ctype.name} *{name}" if ctype.pointer else f"{ctype.name} {name}", text))
    return [{"declaration": d, "comment": f" /* {text} */"} for d, text in lines]
