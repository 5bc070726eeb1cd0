"""Treats a depthwise convolution of one channel as what it is."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np

from .. import ops
from ..graph import Graph, Quant
from ..ops._conv import ConvAttrs
from ._rewrite import replaced


def merge_depthwise(graph: Graph) -> Graph:
    """DEPTHWISE_CONV_2D of an image with a single channel becomes CONV_2D: every output channel is a whole
    window times its own weights, and convolutions have the faster kernels. The sums are the same."""
    for node in graph.nodes:
        call = ops.Call.of(graph, node)
        if node.op != "DEPTHWISE_CONV_2D" or call.x.shape[3] != 1:
            continue
        weights = call.input(1)
        assert weights.data is not None and weights.quant is not None
        quant = replace(weights.quant, axis=0) if not weights.quant.per_tensor else Quant(weights.quant.scale, (0,))
        data = np.ascontiguousarray(np.swapaxes(weights.data, 0, 3))
        name = f"{node.outputs[0]}:weights"
        tensor = replace(weights, name=name, shape=data.shape, data=data, quant=quant, source=-1)
        graph = replace(graph, tensors={**graph.tensors, name: tensor})
        shared = {f.name: getattr(node.attrs, f.name) for f in dataclasses.fields(ConvAttrs)}
        attrs = ops.find("CONV_2D").Attrs(**shared)
        inputs = (node.inputs[0], name, *node.inputs[2:])
        graph = replaced(graph, node, replace(node, op="CONV_2D", attrs=attrs, inputs=inputs))
    return graph.pruned()
