"""Passes: pure functions from graph to graph, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..check import require_supported, verify
from ..graph import Graph
from .fold_constants import fold_constants
from .fold_input_offset import fold_input_offset
from .fold_quantize_pairs import fold_quantize_pairs
from .fuse_activation import fuse_activation
from .fuse_padding import fuse_padding
from .look_through_reshape import look_through_reshape
from .merge_depthwise import merge_depthwise
from .shrink import shrink
from .tabulate import tabulate

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    fold_constants,
    fold_quantize_pairs,
    fuse_padding,
    fuse_activation,
    merge_depthwise,
    tabulate,
    look_through_reshape,
    shrink,
    fold_input_offset,
)


def stages(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """(name, graph) as loaded and after each pass, each verified.

    Raises Unsupported with everything that stands in the way, once constants are folded.
    """
    yield "load", graph
    for step in PASSES:
        graph = step(graph)
        if step is fold_constants:
            require_supported(graph)
        verify(graph)
        yield step.__name__, graph


def lower(graph: Graph) -> Graph:
    """The graph after all passes, of which every node has a kernel or is a view."""
    return list(stages(graph))[-1][1]
