"""Which models can take their input row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Unsupported
from ..graph import Graph
from .tasks import find_roots

if TYPE_CHECKING:
    from . import Plan


def check_graph(graph: Graph) -> None:
    """Raises Unsupported unless there is one input, and something else is computed of it."""
    if len(graph.inputs) != 1:
        names = ", ".join(repr(name) for name in graph.inputs)
        raise Unsupported(
            f"{graph.name}: only a model of one input can take it row by row; this one has {len(graph.inputs)}: {names}"
        )
    (fed,) = graph.inputs
    roots = find_roots(graph)
    for name in graph.outputs:
        if roots.get(name) == fed:
            raise Unsupported(
                f"{graph.name}: an input that comes row by row is in no place as a whole, but the output {name!r} is "
                f"the input {fed!r}"
            )


def check_plan(plan: Plan) -> None:
    """Raises Unsupported where a layer wants to see all rows of the input at once."""
    for index, task in plan.tasks.items():
        for read in task.reads:
            count = plan.sizes[read.buffer][0]
            if read.buffer in plan.fed and not read.aligned and count > 1:
                node = plan.graph.nodes[index]
                raise Unsupported(
                    f"{plan.graph.name}: an input can come row by row if the layers that read it do so row by row; "
                    f"{node.op} {node.name!r} reads all {count} rows of {read.buffer!r} at once"
                )
