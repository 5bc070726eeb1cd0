"""Writes the files that are made from the table of ops: `python -m tinsmith.generate`.

They are committed so that the core can be used and read without Python; tests check that they are fresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import ops
from .emit import core_header
from .emit.core import members
from .ops.base import Op
from .paths import firmware
from .pipeline import write_files


def generated() -> Mapping[Path, str]:
    """Path in the repository -> text that it must have."""
    root = firmware().parent
    return {firmware() / "core" / "tin_ops.h": core_header(), root / "docs" / "ops.md": manual()}


def manual() -> str:
    """docs/ops.md: what each op does, what it demands, and its parameters."""
    known = [op for op in ops.table().values() if not op.internal]
    parts = [
        "# Operators",
        "Generated from `tools/tinsmith/ops` by `make generate`: do not edit. A model that breaks a rule is refused "
        "with the rule's text and the value that broke it. Results are those of TensorFlow Lite Micro, byte for byte.",
        "| TFLite | up to version | ONNX | runs as |\n|---|---:|---|---|\n" + "\n".join(overview(op) for op in known),
        *(section(op) for op in ops.table().values()),
    ]
    return "\n\n".join(parts) + "\n"


def overview(op: Op) -> str:
    return f"| [{op.name}](#{op.name.lower()}) | {op.max_version} | {', '.join(op.onnx)} | {form(op)} |"


def form(op: Op) -> str:
    """What becomes of the op in the generated code."""
    if op.Params is not None:
        return f"`{op.kernel}`"
    if op.view:
        return "a view: no code, no copy"
    return op.lowered


def section(op: Op) -> str:
    text = " ".join((op.__doc__ or "").split())
    head = f"## {op.name}\n\n{text}"
    if op.internal:
        head += "\n\nNo file format has this op; passes make it."
    parts = [head, "Rules:\n\n" + "\n".join(f"- {rule}" for _, rule in op.rules())]
    if op.Params is not None:
        fields = "\n".join(f"    {m['declaration']};{m['comment']}" for m in members(op))
        parts.append(f"```c\ntypedef struct {op.kernel}_params {{\n{fields}\n}} {op.kernel}_params;\n```")
    return "\n\n".join(parts)


def main() -> None:
    for path, text in generated().items():
        write_files({path.name: text}, path.parent)
        print(path.relative_to(firmware().parent))


if __name__ == "__main__":
    main()
