"""emlearn: classic models and small dense networks as C (PyPI; MIT).

It reads no .tflite files, and its dense networks compute in float32 (the fixed-point ones are not
finished in this version). What can be compared is one network in both forms: the layers of an int8
model that is fully connected throughout, with their weights and biases as the floats they stand for.
The results are then close, not equal. Its trees have no counterpart in Tinsmith.
"""

from __future__ import annotations

import importlib.metadata
import warnings
from contextlib import chdir
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from peer import Generated, Refused

from tinsmith.graph import Graph, Node
from tinsmith.load.tflite import load_file

TARGETS = ("cortex-m4", "rv32imc")
Floats = npt.NDArray[np.float64]


def version() -> str | None:
    """The installed version; None if it is not installed."""
    try:
        return importlib.metadata.version("emlearn")
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Network:
    """A dense network in the shape that emlearn reads of scikit-learn's MLPRegressor; weights are [in, out]."""

    coefs_: tuple[Floats, ...]
    intercepts_: tuple[Floats, ...]
    activation: str
    out_activation_: str

    @property
    def n_layers_(self) -> int:
        return len(self.coefs_) + 1

    @property
    def widths(self) -> tuple[int, ...]:
        return (*(w.shape[0] for w in self.coefs_), self.coefs_[-1].shape[1])


def network(model: Path) -> Network:
    """The floats of an int8 model. Raises Refused if it is not dense throughout, with one activation inside."""
    graph = load_file(model)
    others = sorted({node.op for node in graph.nodes} - {"FULLY_CONNECTED"})
    if others:
        raise Refused(f"dense layers only; the model has {', '.join(others)}")
    activations = [str(node.attrs.fused_activation_function).lower() for node in graph.nodes]
    weights, biases = zip(*(_floats(graph, node) for node in graph.nodes), strict=True)
    if len(set(activations[:-1])) != 1 or any(a.outputs[0] != b.inputs[0] for a, b in pairwise(graph.nodes)):
        raise Refused("the layers do not form one chain with one activation")
    names = {"none": "identity", "relu": "relu"}
    return Network(weights, biases, names[activations[0]], names[activations[-1]])


def _floats(graph: Graph, node: Node) -> tuple[Floats, Floats]:
    weights, bias = (graph[name] for name in node.inputs[1:] if name is not None)
    assert weights.data is not None and weights.quant is not None
    assert bias.data is not None and node.inputs[0] is not None
    scale = np.array(weights.quant.scale)
    values = weights.data.astype(np.float64) * scale.reshape(-1, 1)
    return values.T.copy(), bias.data * scale * graph[node.inputs[0]].scale


def generate(net: Network, folder: Path) -> Generated:
    """Its C, in the form that it calls loadable: "inline" ends in an exception for dense networks in this version."""
    # It tries the network on this computer, too, and leaves that in the current folder.
    with chdir(folder), warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")  # it imports distutils, and changes how numpy treats underflows
        import emlearn
        from emlearn.common import get_include_dir

        converted = emlearn.convert(net, kind="MLPRegressor", method="loadable", return_type="regressor")
        text = converted.save(name="model", inference=["loadable"])
    source = folder / "model.c"
    source.write_text(text, encoding="utf-8")
    header = folder / "model.h"
    header.write_text("#include <stdint.h>\nint32_t model_regress(const float *, int32_t, float *, int32_t);\n")
    inputs, outputs = net.widths[0], net.widths[-1]
    return Generated(
        sources=(source,),
        include_dirs=(folder, Path(get_include_dir())),
        headers=("model.h",),
        call=f"(void)model_regress((const float *)in, {inputs}, (float *)out, {outputs});",
        entry="model_regress",
        input_bytes=4 * inputs, output_bytes=4 * outputs,
        work_bytes=0,  # its two buffers are static variables, which count as RAM too
    )  # fmt: skip


def result(data: bytes, net: Network) -> npt.NDArray[np.float32]:
    """The outputs, float32 [n]."""
    return np.frombuffer(data, np.float32, net.widths[-1])


def reference(net: Network, x: npt.NDArray[np.float32]) -> Floats:
    """What the network computes of one input, in double precision."""
    value: Floats = x.astype(np.float64)
    for number, (weights, bias) in enumerate(zip(net.coefs_, net.intercepts_, strict=True), 1):
        value = value @ weights + bias
        name = net.out_activation_ if number == len(net.coefs_) else net.activation
        value = np.maximum(value, 0) if name == "relu" else value
    return value
