"""Which channels a model needs: bounds forwards, needs backwards."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import ops
from ..graph import Array, Graph, Node
from ..ops import Call
from ..ops._interval import Interval, channel_count
from ..ops._taps import Taps
from ..ops._weighted import Weighted

Slot = tuple[str, int]  # (activation, -1), or (output of the node, index of the constant that it reads)
Masks = dict[Slot, Array]  # bool [channels]


def find_intervals(graph: Graph) -> dict[str, Interval | None]:
    """Bounds on every tensor, whatever the model's inputs are."""
    found: dict[str, Interval | None] = {}
    for t in graph.tensors.values():
        if t.data is not None:
            bytes_only = t.dtype.kind in "iu" and t.dtype.itemsize == 1 and t.size
            found[t.name] = Interval.of_values(t.data) if bytes_only else None
    for name in graph.inputs:
        found[name] = Interval.whole(graph[name])
    for node in graph.nodes:
        known = [None if n is None else found[n] for n in node.inputs]
        found[node.outputs[0]] = ops.find(node.op).interval(Call.of(graph, node), known)
    return found


def slot(graph: Graph, node: Node, index: int) -> Slot:
    """Where the channels of an input are noted. A constant may be read in several places, each with its own."""
    name = node.inputs[index] or ""
    return (node.outputs[0], index) if graph[name].data is not None else (name, -1)


def centred(interval: Interval, zero_point: int) -> Interval:
    return Interval(interval.low - zero_point, interval.high - zero_point)


@dataclass(frozen=True, eq=False)
class Link:
    """What a node asks of the channels of its inputs and its output."""

    inputs: tuple[Slot, ...]
    output: Slot
    sources: tuple[Array | None, ...] = ()  # as Op.channel_sources says
    reads: Array | None = None  # bool [out, in]: what every output needs, for weights
    taps: Taps | None = None

    @classmethod
    def of(cls, graph: Graph, node: Node, intervals: Mapping[str, Interval | None]) -> Link:
        op, call = ops.find(node.op), Call.of(graph, node)
        indices = op.runtime_inputs(call)
        ends = tuple(slot(graph, node, i) for i in indices), (node.outputs[0], -1)
        taps = op.taps(call) if isinstance(op, Weighted) else None
        if not isinstance(op, Weighted):
            return cls(*ends, tuple(op.channel_sources(call, i) for i in indices))
        x = intervals[node.inputs[0] or ""]
        if taps is None or x is None:
            return cls(*ends, (None,))
        return cls(*ends, (), taps.reads(centred(x, call.x.zero_point)), taps)

    def settle(self, masks: Masks) -> list[Slot]:
        """Adds the channels without which the node cannot run; returns what has grown."""
        before = {s: int(masks[s].sum()) for s in (*self.inputs, self.output)}
        out = masks[self.output]
        if self.taps is not None and self.taps.source is not None:
            settle_groups(masks[self.inputs[0]], out)
        elif self.reads is not None:
            masks[self.inputs[0]] |= self.reads[out].any(axis=0)
        else:
            self.settle_sources(masks, out)
        return [s for s, count in before.items() if int(masks[s].sum()) != count]

    def settle_sources(self, masks: Masks, out: Array) -> None:
        """Channels of inputs and output come and go together."""
        unsourced: Array = np.ones(len(out), bool)
        for end, source in zip(self.inputs, self.sources, strict=True):
            own = masks[end]
            if source is None:
                own[:] = True
                out[:] = True
                continue
            linked = source >= 0
            own[np.setdiff1d(np.arange(len(own)), source[linked])] = True
            own[source[linked & out]] = True
            out[linked] |= own[source[linked]]
            unsourced &= ~linked
        out |= unsourced


def settle_groups(own: Array, out: Array) -> None:
    """Depthwise: kept inputs must have equally many outputs, at least one, and others none."""
    groups = out.reshape(len(own), -1)  # a view: what is written here is written to `out`
    own |= groups.any(axis=1)
    if own.any():
        most = max(1, int(groups.sum(axis=1).max()))
        for i in np.flatnonzero(own):
            groups[i, np.flatnonzero(~groups[i])[: most - int(groups[i].sum())]] = True


class Needs:
    """The channels that stay, as masks that grow until every node can run."""

    def __init__(self, graph: Graph, intervals: Mapping[str, Interval | None], multiple: int) -> None:
        self.graph, self.intervals, self.multiple = graph, intervals, multiple
        self.links = [Link.of(graph, node, intervals) for node in graph.nodes]
        ends = {*graph.inputs, *graph.outputs}
        self.masks: Masks = {}
        for t in graph.activations():
            self.masks[t.name, -1] = np.full(channel_count(t.shape), t.name in ends)
        for node, link in zip(graph.nodes, self.links, strict=True):
            for end, index in zip(link.inputs, ops.find(node.op).runtime_inputs(Call.of(graph, node)), strict=True):
                self.masks.setdefault(end, np.zeros(channel_count(graph[node.inputs[index] or ""].shape), bool))
        self.settle(range(len(self.links)))
        while any([self.fill(i) for i in reversed(range(len(self.links)))]):
            pass

    def settle(self, nodes: Iterable[int]) -> None:
        """Lets nodes ask for what they need, and those beside them, until none asks for more."""
        waiting = set(nodes)
        order = [-i for i in waiting]  # needs run backwards, so the last node comes first
        heapq.heapify(order)
        while order:
            index = -heapq.heappop(order)
            waiting.discard(index)
            for name, _ in self.links[index].settle(self.masks):
                around = (index, self.graph.producers.get(name, index), *self.graph.consumers.get(name, ()))
                for i in set(around) - waiting:
                    waiting.add(i)
                    heapq.heappush(order, -i)

    def fill(self, index: int) -> bool:
        """Gives a node channels until none of its tensors is empty and what it writes is rounded; whether any were
        added."""
        link = self.links[index]
        added = self.add(link.output, self.multiple if link.taps is not None else 1)
        for end in link.inputs:
            added |= end[1] >= 0 and self.add(end, 1)
        if added:
            self.settle([index, *self.graph.consumers.get(link.output[0], ())])
        return added

    def add(self, end: Slot, multiple: int) -> bool:
        """Rounds the count of a tensor's channels up to a multiple, or to one if there are too few; whether it grew."""
        mask, interval = self.masks[end], self.intervals[end[0]] if end[1] < 0 else None
        wanted = max(1, int(mask.sum()))
        rounded = -(-wanted // multiple) * multiple
        wanted = rounded if rounded <= len(mask) else wanted
        left = np.flatnonzero(~mask)
        if interval is not None:  # constants first: they tend to need nothing themselves
            left = left[np.argsort(~interval.constant[left], kind="stable")]
        added = left[: wanted - int(mask.sum())]
        mask[added] = True
        return bool(len(added))
