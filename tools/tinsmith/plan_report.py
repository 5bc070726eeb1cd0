"""A plan for machines: what `tinsmith plan --json` prints."""

from __future__ import annotations

from typing import Any

from .pipeline import Compiled
from .plan.lifetimes import Buffer
from .timeline import Timeline, spans


def report(compiled: Compiled, line: Timeline, budget: int | None) -> dict[str, Any]:
    """Sizes in bytes, offsets from the start of the arena; moments as in `timeline`, spans of them inclusive."""
    plan = compiled.plan
    return {
        "model": compiled.name,
        "target": compiled.target.name,
        "optimize": compiled.mode.name,
        "arena_bytes": plan.arena_bytes,
        "scratch_bytes": plan.scratch_bytes,
        "memories": [
            {
                "name": m.room.name, "room": m.room.nbytes, "start": m.start, "bytes": m.nbytes,
                "traffic_share": round(share, 4),
            }
            for m, share in zip(plan.memories, plan.traffic_shares, strict=True)
        ],
        "ram_bytes": budget,
        "fits": budget is None or plan.arena_bytes <= budget,
        "packing": plan.packing,
        "moments": len(line.nodes),
        "peak": {"moment": line.peak.moment, "bytes": line.peak.nbytes, "node": line.peak.node},
        "calls": len(plan.runs),
        "cuts": list(plan.cuts),
        "segments": [
            {
                "nodes": list(s.nodes), "by_rows": s.by_rows, "fed": s.fed, "calls": s.calls,
                "first_moment": s.first, "last_moment": s.last,
            }
            for s in line.segments
        ],
        "nodes": [node_entry(line, index) for index in plan.tasks],
        "buffers": [buffer_entry(line, b) for b in plan.buffers],
    }  # fmt: skip


def node_entry(line: Timeline, index: int) -> dict[str, Any]:
    """A node and its calls, summed up."""
    plan = line.plan
    node = plan.graph.nodes[index]
    runs = plan.runs_of[index]
    moments = [moment for moment, other in enumerate(line.nodes) if other == index]
    return {
        "index": index, "op": node.op, "name": node.name, "output": node.outputs[0], "calls": len(runs),
        "steps": sum(run.end - run.first for run in runs), "steps_a_call": max(run.end - run.first for run in runs),
        "first_moment": moments[0], "last_moment": moments[-1],
    }  # fmt: skip


def buffer_entry(line: Timeline, buffer: Buffer) -> dict[str, Any]:
    """A buffer, the tensors in it, and when which of its bytes are needed."""
    return {
        "name": buffer.name, "kind": line.kind(buffer), "offset": buffer.offset, "bytes": buffer.nbytes,
        "rows": buffer.rows, "rows_in_all": line.rows_in_all(buffer), "row_bytes": buffer.row_bytes,
        "first_node": buffer.first, "last_node": buffer.last,
        "tensors": [tensor for tensor, holder in line.plan.roots.items() if holder == buffer.name],
        "lifetimes": [
            {"start": part.start, "end": part.end, "moments": [list(span) for span in spans(part.moments)]}
            for part in buffer.stretches
        ],
    }  # fmt: skip
