"""Results as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .bench import Cost
from .graph import Array, Tensor
from .inspection import Inspection
from .passes.fold_constants import fold_constants
from .passes.shrink import savings
from .pipeline import Compiled
from .toolchain import Built
from .verify import Verdict


def table(*columns: str) -> Table:
    """A plain table; columns whose heading begins with > are numbers. What is too long is cut, never folded."""
    result = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        # Names may be as long as they like; they alone give way where the terminal is narrow.
        style: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        gives_way = column in ("name", "model")
        result.add_column(column.lstrip(">"), justify=style, no_wrap=not gives_way, overflow="ellipsis")
    return result


def shape(info: dict[str, Any]) -> str:
    return f"{info['dtype']} {'x'.join(map(str, info['shape'])) or 'scalar'}"


def scale(info: dict[str, Any]) -> str:
    if "scale" not in info:
        return ""
    value = info["scale"]
    text = f"{value:.6g}" if isinstance(value, float) else f"{len(value)} scales"
    return f"{text}, {info['zero_point']}"


def short(name: str, width: int = 32) -> str:
    return escape(name if len(name) <= width else f"{name[: width // 2 - 2]}...{name[-(width // 2 - 1) :]}")


def inspection(out: Console, found: Inspection) -> None:
    """Layers, totals, findings, fits."""
    out.print(f"[bold]{escape(found.model)}[/]  {escape(found.description)}")
    layers = table(">#", "op", "output", "scale, zero", ">MACs", ">weights", "name")
    for index, entry in enumerate(found.layers):
        op = escape(entry.op) if entry.supported else f"[red]{escape(entry.op)}[/]"
        macs = "" if not entry.macs else f"{entry.macs:,}"
        layers.add_row(
            str(index), op, shape(entry.output), scale(entry.output), macs, f"{entry.weights:,}", short(entry.name)
        )
    out.print(layers)
    for kind, infos in (("input", found.inputs), ("output", found.outputs)):
        for info in infos:
            out.print(f"{kind:7} {short(info['name'])}  {shape(info)}  {scale(info)}")
    out.print(f"{found.macs:,} MACs, {found.weight_bytes:,} bytes of weights, file of {found.file_bytes:,} bytes")
    if found.unsupported:
        out.print(f"[bold red]{len(found.unsupported)} nodes cannot be compiled:[/]")
        for finding in found.unsupported:
            out.print(f"  {escape(str(finding))}", soft_wrap=True)
    if found.arena_bytes is not None:
        out.print(f"{found.arena_bytes:,} bytes of arena")
        fitting = [f.target if f.machine is None else f"{f.target} ({f.machine})" for f in found.targets if f.fits]
        out.print(f"fits {', '.join(fitting)}")


def compiled(out: Console, model: Compiled, paths: Sequence[Path]) -> None:
    out.print(f"{model.name}: arena {model.plan.arena_bytes:,} bytes, of it scratch {model.plan.scratch_bytes:,}")
    saved = savings(fold_constants(model.source), model.plan.graph)
    if saved:
        (macs, fewer), (before, after) = saved.macs, saved.constant_bytes
        out.print(f"  shrunk, exactly: MACs {macs:,} -> {fewer:,}, weights and biases {before:,} -> {after:,} bytes")
    for path in paths:
        out.print(f"  {escape(str(path))}", soft_wrap=True)


def built(out: Console, model: Compiled, result: Built) -> None:
    machine = f" for {result.emulator.machine}" if result.emulator else ""
    out.print(f"{escape(str(result.output))}{machine}, arena {model.plan.arena_bytes:,} bytes", soft_wrap=True)


def results(out: Console, model: Compiled, outputs: Sequence[Array], most: int = 20) -> None:
    """Quantized values and, where there is a scale, what they stand for."""
    graph = model.plan.graph
    for name, values in zip(graph.outputs, outputs, strict=True):
        tensor = graph[name]
        out.print(f"output {short(name)} ({tensor.dtype})")
        rows = table(">sample", "values", "real")
        for index, row in enumerate(values.reshape(-1, tensor.size)[:most]):
            rows.add_row(str(index), clipped([str(v) for v in row]), real(tensor, row))
        out.print(rows)
        if len(values) > most:
            out.print(f"... and {len(values) - most} more")


def clipped(words: Sequence[str], most: int = 12) -> str:
    return " ".join(words[:most]) + (" ..." if len(words) > most else "")


def real(tensor: Tensor, row: Array) -> str:
    if tensor.quant is None or tensor.dtype.kind == "f":
        return ""
    return clipped([f"{tensor.scale * (int(v) - tensor.zero_point):.4g}" for v in row], 6)


def verdict(out: Console, v: Verdict) -> None:
    if v.passed:
        out.print(f"[green]equal[/]: {v.model} on {v.target}, {v.samples} samples, {v.bytes_compared:,} bytes")
    else:
        out.print(f"[bold red]different[/]: {v.model} on {v.target}, {v.differing_samples} of {v.samples} samples")
        out.print(f"  {escape(str(v.first))}", soft_wrap=True)


def costs(out: Console, found: Sequence[Cost], layers: bool) -> None:
    out.print(f"one inference on {found[0].target}: retired instructions, and bytes of memory")
    rows = table("model", ">instructions", ">MACs", ">arena", ">scratch", ">stack", ">code", ">data")
    for c in found:
        figures = (c.arena_bytes, c.scratch_bytes, c.stack_bytes, c.flash_code_bytes, c.flash_data_bytes)
        rows.add_row(c.model, f"{c.instructions:,}", f"{c.macs:,}", *(f"{f:,}" for f in figures))
    out.print(rows)
    for c in found if layers else ():
        out.print(f"\n{c.model}")
        out.print(profile(c))
        if c.m4_cycles_estimate is not None:
            out.print(f"{c.m4_cycles_estimate:,} cycles in all: an estimate without wait states, no latency")


def profile(c: Cost) -> Table:
    """Every layer's share, with estimated cycles where there are any."""
    estimated = c.m4_cycles_estimate is not None
    rows = table(">#", "op", ">instructions", ">share", *([">cycles (estimate)"] if estimated else []), ">MACs", "name")
    for index, entry in enumerate(c.layers):
        share = f"{100 * entry.instructions / c.instructions:.1f} %"
        cycles = [f"{entry.m4_cycles_estimate:,}"] if estimated else []
        figures = (f"{entry.instructions:,}", share, *cycles, f"{entry.macs:,}")
        rows.add_row(str(index), entry.op, *figures, short(entry.name))
    return rows
