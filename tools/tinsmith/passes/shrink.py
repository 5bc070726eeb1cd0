"""Leaves out channels that never vary or that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from .. import fixed, ops
from ..graph import Array, Graph, Node, Quant, Tensor
from ..ops import Call
from ..ops._interval import Interval, channel_count
from ..ops._weighted import Weighted
from ._channels import Masks, Needs, centred, find_intervals, slot

# Counts in fours would suit kernels that read words, but measured, no core gains: what rounding brings back costs
# more, and the more so as constant channels tend to have extreme multipliers, for which kernels are slow.
MULTIPLE = 1
MOST_CHANNELS = 2**22  # of all tensors together; models beyond stay as they are, so that memory is bounded


def shrink(graph: Graph, multiple: int = MULTIPLE) -> Graph:
    """Removes channels whose value is the same for every input, and channels that nothing depends on.

    Constants go into the biases of those who read them. All other bytes stay as they are: what is removed is
    decided by bounds that hold for all inputs, never by samples. Counts of channels that weights write are rounded
    up to a `multiple` where the original count allows it. Inputs and outputs of the model keep their channels.
    """
    if sum(channel_count(t.shape) for t in graph.activations()) > MOST_CHANNELS:
        return graph
    intervals = find_intervals(graph)
    masks = Needs(graph, intervals, multiple).masks
    smaller = {s: mask for s, mask in masks.items() if not mask.all()}
    if not smaller:
        return graph
    tensors = dict(graph.tensors)
    for name in (name for name, constant in smaller if constant < 0):
        tensors[name] = cut_tensor(tensors[name], smaller[name, -1])
    nodes = [cut_node(graph, node, intervals, masks, tensors) for node in graph.nodes]
    return replace(graph, tensors=tensors, nodes=tuple(nodes)).pruned()


def cut_tensor(t: Tensor, mask: Array, name: str = "") -> Tensor:
    """A tensor of the channels in the mask."""
    data = None if t.data is None else np.ascontiguousarray(t.data[..., mask])
    before = range(t.shape[-1]) if t.kept is None else t.kept
    kept = tuple(channel for channel, keep in zip(before, mask, strict=True) if keep)
    return replace(t, name=name or t.name, shape=(*t.shape[:-1], len(kept)), data=data, kept=kept)


def cut_node(
    graph: Graph, node: Node, intervals: Mapping[str, Interval | None], masks: Masks, tensors: dict[str, Tensor]
) -> Node:
    """The node for tensors that have lost channels; adds its new constants to `tensors`."""
    op, call = ops.find(node.op), Call.of(graph, node)
    ends = {i: slot(graph, node, i) for i in op.runtime_inputs(call)}
    if masks[node.outputs[0], -1].all() and all(masks[s].all() for s in ends.values()):
        return node
    inputs, attrs = list(node.inputs), node.attrs
    for index, end in ends.items():
        if end[1] >= 0 and not masks[end].all():
            inputs[index] = add(tensors, cut_tensor(call.input(index), masks[end], f"{end[0]}:kept {index}"))
    if isinstance(op, Weighted):
        x = intervals[node.inputs[0] or ""]
        weights, bias = cut_weights(op, call, x, masks[ends[0]], masks[node.outputs[0], -1])
        inputs[1:] = [add(tensors, weights), add(tensors, bias)]
        attrs = op.biased_attrs(call)
    cut = replace(node, inputs=tuple(inputs), attrs=attrs)
    return replace(cut, attrs=op.fitted_attrs(Call.of(replace(graph, tensors=tensors), cut)))


def add(tensors: dict[str, Tensor], constant: Tensor) -> str:
    """Files a new constant under a name that the model file has not taken, and returns that."""
    name = constant.name
    while name in tensors:
        name += "'"
    tensors[name] = replace(constant, name=name)
    return name


def cut_weights(op: Weighted, call: Call, x: Interval | None, kept_in: Array, kept_out: Array) -> tuple[Tensor, Tensor]:
    """Weights and bias of the channels kept, with what constant inputs added in the bias."""
    weights, quant, taps = call.input(1), call.input(1).quant, op.taps(call)
    assert quant is not None and x is not None and taps is not None
    if not quant.per_tensor:
        quant = replace(quant, scale=chosen(quant.scale, kept_out), zero_point=(0,) * int(kept_out.sum()))
    data = op.cut_weights(call, kept_in, kept_out)
    name = call.y.name
    cut = replace(weights, name=f"{name}:kept weights", shape=data.shape, data=data, quant=quant, source=-1)
    bias = op.centred_bias(call)
    if taps.source is None:
        bias = bias + taps.constant_part(np.where(kept_in, 0, centred(x, call.x.zero_point).low))
    bias = bias[kept_out]
    if call.attrs.offset_folded:
        bias = bias - call.x.zero_point * op.weight_sums(call, data)
    scales = tuple(float(np.float32(call.x.scale) * np.float32(s)) for s in quant.scale)
    values = fixed.wrap32(bias).astype(np.int32)
    return cut, Tensor(f"{name}:kept bias", values.shape, values.dtype, Quant(scales, (0,) * len(scales)), values)


def chosen(values: tuple[float, ...], mask: Array) -> tuple[float, ...]:
    return tuple(v for v, keep in zip(values, mask, strict=True) if keep)


@dataclass(frozen=True)
class Savings:
    """What weights cost before and after."""

    macs: tuple[int, int]
    constant_bytes: tuple[int, int]  # weights and biases

    def __bool__(self) -> bool:
        return self.macs[0] != self.macs[1]


def savings(before: Graph, after: Graph) -> Savings:
    """What a graph saves over the one that it was made of: multiplications, and bytes of weights and biases."""

    def constants(graph: Graph) -> int:
        return sum(graph[name].nbytes for name in set(weight_names(graph)))

    macs = [sum(ops.find(n.op).macs(Call.of(g, n)) for n in g.nodes) for g in (before, after)]
    return Savings((macs[0], macs[1]), (constants(before), constants(after)))


def weight_names(graph: Graph) -> Iterator[str]:
    """Names of all weights and biases."""
    for node in graph.nodes:
        if isinstance(ops.find(node.op), Weighted):
            yield from (name for name in node.inputs[1:] if name is not None)
