"""Kernels compute any rows of their output, from rings of input rows, and over their own input as far as they say."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import parity
import pytest
from numpy.random import Generator
from parity import KERNEL_OPS, Inputs, kernels

from tinsmith.graph import Array, Graph, Tensor
from tinsmith.host_kernels import Arena, View, bind
from tinsmith.ops import Call, Op
from tinsmith.passes import lower

EXAMPLES = 40
GAP = 16  # unused bytes between tensors of an arena


class Layout:
    """One node with its tensors in an arena: whole, as rings, or one over the other."""

    def __init__(self, op: Op, graph: Graph, rng: Generator) -> None:
        self.op, self.call = op, Call.of(graph, graph.nodes[0])
        self.indices = op.runtime_inputs(self.call)
        fed = {name: parity.sample(graph, graph[name], "random", rng) for name in graph.inputs}
        self.values: Inputs = [self.value(self.call.input(i), fed) for i in self.indices]
        self.expected = parity.numpy_outputs(graph, [fed[name] for name in graph.inputs])[0]
        self.out_rows, self.out_bytes = op.rows(self.call, self.call.y)
        self.rng = rng

    @staticmethod
    def value(tensor: Tensor, fed: dict[str, Array]) -> Array:
        return fed[tensor.name] if tensor.data is None else tensor.data

    def rows(self, position: int) -> tuple[int, int]:
        """(count, bytes) of the rows of an input."""
        return self.op.rows(self.call, self.call.input(self.indices[position]))

    def first(self, position: int) -> list[int]:
        """For each output row: the lowest input row that it or a later one needs."""
        index, rows = self.indices[position], range(self.out_rows)
        found = [self.op.first_input_row(self.call, index, row) or 0 for row in rows]
        return list(itertools.accumulate(reversed(found), min))[::-1]

    def last(self, position: int) -> list[int]:
        """For each output row: the highest input row that it or an earlier one needs."""
        index, rows = self.indices[position], range(self.out_rows)
        return list(itertools.accumulate((self.op.last_input_row(self.call, index, row) for row in rows), max))

    def arena(self, nbytes: int) -> Arena:
        """An arena that holds noise."""
        arena = Arena(-(-nbytes // 4) * 4)
        arena.bytes[:] = self.rng.integers(0, 256, arena.nbytes)
        return arena

    def whole_views(self, start: int) -> list[View]:
        """Views of whole inputs, one behind the other from `start` on."""
        views = []
        for position in range(len(self.indices)):
            count, stride = self.rows(position)
            views.append(View(stride, count, start))
            start = -(-(start + count * stride + GAP) // 4) * 4
        return views

    def fill(self, arena: Arena, views: Sequence[View]) -> None:
        for view, value in zip(views, self.values, strict=True):
            arena.put(view.offset, value)

    def end(self, views: Sequence[View]) -> int:
        return max(view.offset + view.count * view.stride for view in views)

    def output(self) -> View:
        return View(self.out_bytes, self.out_rows, 0)

    def matches(self, arena: Arena, row: int | None = None) -> bool:
        """Whether an output at offset 0 (or one of its rows) is right."""
        arena.check()
        expected = np.frombuffer(self.expected.tobytes(), np.uint8)
        if row is None:
            return bool((arena.bytes[: expected.size] == expected).all())
        begin = row * self.out_bytes
        return bool((arena.bytes[begin : begin + self.out_bytes] == expected[begin : begin + self.out_bytes]).all())


def layouts(op: Op, count: int, seed: int) -> Iterator[Layout]:
    """Examples that are lowered to a single call of the op's own kernel."""
    rng, found = parity.generator(op, seed), 0
    for graph in parity.examples(op, rng, 20 * count):
        lowered = lower(graph)
        if [node.op for node in lowered.nodes] == [op.name]:
            yield Layout(op, lowered, rng)
            found += 1
            if found == count:
                return


def each_op(test: Callable[[Op], None]) -> Callable[[Op], None]:
    return pytest.mark.parametrize("op", KERNEL_OPS, ids=[op.name for op in KERNEL_OPS])(test)


@each_op
def test_rows_one_by_one_are_the_whole(op: Op) -> None:
    several = 0
    for layout in layouts(op, EXAMPLES, 10):
        views = layout.whole_views(-(-(layout.out_rows * layout.out_bytes + GAP) // 4) * 4)
        for step in (1, 2, layout.out_rows):
            arena = layout.arena(layout.end(views) + GAP)
            layout.fill(arena, views)
            bound = bind(layout.call, views, layout.output())
            for row in range(0, layout.out_rows, step):
                kernels().run(bound, arena, row, min(row + step, layout.out_rows))
            assert layout.matches(arena), f"{op.name}, {step} rows a call: {layout.call.node.attrs}"
        several += layout.out_rows > 1
    assert several > EXAMPLES // 10


@each_op
def test_only_the_rows_asked_for_are_written(op: Op) -> None:
    for layout in layouts(op, EXAMPLES // 4, 11):
        views = layout.whole_views(-(-(layout.out_rows * layout.out_bytes + GAP) // 4) * 4)
        row = int(layout.rng.integers(0, layout.out_rows))
        arena = layout.arena(layout.end(views) + GAP)
        layout.fill(arena, views)
        before = arena.bytes.copy()
        kernels().run(bind(layout.call, views, layout.output()), arena, row, row + 1)
        begin, end = row * layout.out_bytes, (row + 1) * layout.out_bytes
        assert layout.matches(arena, row)
        assert (np.delete(arena.bytes, np.s_[begin:end]) == np.delete(before, np.s_[begin:end])).all()


def ring_sizes(layout: Layout) -> list[int]:
    """The least number of rows that each input must keep."""
    sizes = []
    for position in range(len(layout.indices)):
        pairs = zip(layout.first(position), layout.last(position), strict=True)
        sizes.append(max(1, *(last - first + 1 for first, last in pairs), 1))
    return sizes


def run_from_rings(layout: Layout, sizes: Sequence[int], out_count: int) -> None:
    """Computes row by row; each input row enters its ring just before it is first needed."""
    op, start = layout.op, -(-(layout.out_bytes * out_count + GAP) // 4) * 4
    views, written = [], [0] * len(sizes)
    for position, size in enumerate(sizes):
        stride = layout.rows(position)[1]
        views.append(View(stride, size, start))
        start = -(-(start + stride * size + GAP) // 4) * 4
    arena, lasts = layout.arena(start), [layout.last(position) for position in range(len(sizes))]
    bound = bind(layout.call, views, View(layout.out_bytes, out_count, 0))
    for row in range(layout.out_rows):
        for position, view in enumerate(views):
            flat = np.frombuffer(layout.values[position].tobytes(), np.uint8)
            while written[position] <= lasts[position][row]:
                r = written[position]
                arena.put(view.offset + r % view.count * view.stride, flat[r * view.stride : (r + 1) * view.stride])
                written[position] += 1
        kernels().run(bound, arena, row, row + 1)
        expected = np.frombuffer(layout.expected.tobytes(), np.uint8)[row * layout.out_bytes :][: layout.out_bytes]
        found = arena.bytes[row % out_count * layout.out_bytes :][: layout.out_bytes]
        arena.check()
        assert (found == expected).all(), f"{op.name}, row {row} from rings of {sizes}: {layout.call.node.attrs}"


@each_op
def test_inputs_may_be_rings(op: Op) -> None:
    smaller = 0
    for layout in layouts(op, EXAMPLES, 12):
        if op.first_input_row(layout.call, layout.indices[0], 0) is None:
            continue
        least = ring_sizes(layout)
        run_from_rings(layout, least, out_count=1)
        # One row more than needed shifts where rows lie, and must not matter; neither must a ring for the output.
        more = [min(size + 1, layout.rows(i)[0]) for i, size in enumerate(least)]
        run_from_rings(layout, more, out_count=min(2, layout.out_rows))
        smaller += any(size < layout.rows(i)[0] for i, size in enumerate(least))
    assert smaller > EXAMPLES // 10, "no example had a ring smaller than its tensor"


def overlapped(layout: Layout, position: int, distance: int, step: int) -> bool:
    """Whether the output is right when an input begins `distance` bytes above it (below, if negative)."""
    base = -(-max(0, -distance) // 4) * 4
    far = base + layout.out_rows * layout.out_bytes + max(0, distance) + layout.values[position].nbytes + GAP
    views = layout.whole_views(-(-far // 4) * 4)
    views[position] = View(views[position].stride, views[position].count, base + distance)
    arena = layout.arena(max(far, layout.end(views)) + GAP)
    layout.fill(arena, views)
    bound = bind(layout.call, views, View(layout.out_bytes, layout.out_rows, base))
    for row in range(0, layout.out_rows, step):
        kernels().run(bound, arena, row, min(row + step, layout.out_rows))
    expected = np.frombuffer(layout.expected.tobytes(), np.uint8)
    return bool((arena.bytes[base : base + expected.size] == expected).all())


def too_close(layout: Layout, index: int, separation: int) -> int:
    """A distance that an op forbids: a row less than it asks for, or little where it works in place."""
    if type(layout.op).separation is Op.separation:
        return separation - layout.out_bytes
    # One float less would only change the low bits of the next float.
    return separation - max(separation // 2, 1 if layout.call.input(index).dtype.itemsize == 1 else 16)


@each_op
def test_separation_is_enough_and_needed(op: Op) -> None:
    allowed = broken = 0
    for layout in layouts(op, 2 * EXAMPLES, 13):
        for position, index in enumerate(layout.indices):
            separation = op.separation(layout.call, index)
            if separation is None or layout.call.input(index).data is not None:
                continue
            allowed += 1
            for step in (1, layout.out_rows):
                for further in (0, 4):
                    distance = separation + further
                    assert overlapped(layout, position, distance, step), f"{op.name} {distance=} {layout.call.node}"
            broken += not overlapped(layout, position, too_close(layout, index, separation), layout.out_rows)
    assert allowed > EXAMPLES // 2
    assert broken, "a smaller separation did no harm: it asks for too much"
