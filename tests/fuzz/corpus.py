"""What mutation starts from: small whole models of every op, the project's own models, and the zoo's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from tinsmith import ops
from tinsmith.graph import Graph, Node, Quant, Tensor
from tinsmith.save.tflite import save_tflite

ROOT = Path(__file__).resolve().parents[2]
ZOO = Path(os.environ.get("TINSMITH_ZOO", ROOT.parent / "shared" / "zoo"))
EXAMPLES_PER_OP = 6
SMALL_FILE = 2500  # bytes; larger examples only cost time
LARGEST_FILE = 60_000  # bytes; of models that are read from disk


@dataclass(frozen=True)
class Seed:
    """A valid file. `weight` is how often it is chosen, relative to the others."""

    name: str
    data: bytes
    weight: float


def corpus() -> list[Seed]:
    """The same seeds in the same order at every call, as long as the zoo stays."""
    rng = np.random.default_rng(0)
    seeds = [Seed(g.name, save_tflite(g), 1.0) for g in (*example_graphs(rng), *whole_graphs(rng))]
    files = sorted((ROOT / "models").glob("*/*.tflite")) + (sorted(ZOO.rglob("*.tflite")) if ZOO.is_dir() else [])
    files = [f for f in files if f.stat().st_size <= LARGEST_FILE]
    # Large files are slow to read, and much of them is weights.
    return seeds + [Seed(f.stem, f.read_bytes(), 2000.0 / f.stat().st_size / len(files)) for f in files]


def example_graphs(rng: Generator) -> Iterator[Graph]:
    """Small examples of every op that a file can hold."""
    for name, op in ops.table().items():
        if not op.internal and type(op).examples is not ops.Op.examples:
            found = 0
            for graph in op.examples(rng):
                if len(save_tflite(graph)) <= SMALL_FILE:
                    found += 1
                    yield Graph(f"{name.lower()}{found}", graph.tensors, graph.nodes, graph.inputs, graph.outputs)
                if found == EXAMPLES_PER_OP:
                    break


def tensor(name: str, *shape: int, scale: float = 0.1, dtype: Any = np.int8, data: Any = None) -> Tensor:
    """A tensor of the whole graphs below; scale 0 leaves it unquantized."""
    values = None if data is None else np.asarray(data, dtype).reshape(shape)
    return Tensor(name, shape, np.dtype(dtype), Quant((float(np.float32(scale)),), (0,)) if scale else None, values)


def node(op: str, inputs: str, output: str, **attrs: Any) -> Node:
    """`inputs` are names between spaces."""
    cls = ops.find(op).Attrs
    return Node(op, output, tuple(inputs.split()), (output,), cls(**attrs) if cls else None)


def whole_graphs(rng: Generator) -> Iterator[Graph]:
    """Several nodes each, so that passes have something to do."""
    yield build("shapes", shape_arithmetic(), "x", "y")
    yield build("floats", float_ends(), "x", "y")
    yield build("residual", residual(rng), "x", "y")
    yield build("concatenated", two_outputs(), "a b", "y z")


Parts = tuple[list[Tensor], list[Node]]


def build(name: str, parts: Parts, inputs: str, outputs: str) -> Graph:
    tensors, nodes = parts
    return Graph(name, {t.name: t for t in tensors}, tuple(nodes), tuple(inputs.split()), tuple(outputs.split()))


def shape_arithmetic() -> Parts:
    """RESHAPE to a shape put together from that of the input, as exporters write it."""
    tensors = [tensor("x", 1, 4, 6), tensor("s", 3, scale=0, dtype=np.int32), tensor("y", 1, 24)]
    for name, value in (("zero", 0), ("one", 1)):
        tensors.append(tensor(name, 1, scale=0, dtype=np.int32, data=[value]))
    tensors += [tensor("b", scale=0, dtype=np.int32), tensor("rest", scale=0, dtype=np.int32, data=24)]
    tensors.append(tensor("p", 2, scale=0, dtype=np.int32))
    nodes = [
        node("SHAPE", "x", "s"), node("STRIDED_SLICE", "s zero one one", "b", shrink_axis_mask=1),
        node("PACK", "b rest", "p", values_count=2), node("RESHAPE", "x p", "y"),
    ]  # fmt: skip
    return tensors, nodes


def float_ends() -> Parts:
    """QUANTIZE, a few tables, DEQUANTIZE and QUANTIZE in the middle, float32 on both sides."""
    tensors = [tensor("x", 1, 9, scale=0, dtype=np.float32), tensor("q", 1, 9), tensor("r", 1, 9)]
    tensors += [tensor("f", 1, 9, scale=0, dtype=np.float32), tensor("u", 1, 9, scale=0.07)]
    tensors += [tensor("y", 1, 9, scale=0, dtype=np.float32)]
    nodes = [
        node("QUANTIZE", "x", "q"), node("RELU", "q", "r"), node("DEQUANTIZE", "r", "f"),
        node("QUANTIZE", "f", "u"), node("DEQUANTIZE", "u", "y"),
    ]  # fmt: skip
    return tensors, nodes


def residual(rng: Generator) -> Parts:
    """PAD and CONV_2D, RELU, an ADD across them, MEAN and FULLY_CONNECTED."""
    weights, matrix = rng.integers(-99, 99, (2, 3, 3, 2)), rng.integers(-99, 99, (3, 2))
    tensors = [tensor("x", 1, 5, 4, 2), tensor("pads", 4, 2, scale=0, dtype=np.int32, data=[0, 0, 1, 1, 1, 1, 0, 0])]
    tensors += [tensor("p", 1, 7, 6, 2), tensor("w", 2, 3, 3, 2, scale=0.01, data=weights), tensor("c", 1, 5, 4, 2)]
    tensors += [tensor("r", 1, 5, 4, 2), tensor("a", 1, 5, 4, 2), tensor("m", 1, 2), tensor("y", 1, 3)]
    tensors += [tensor("axes", 2, scale=0, dtype=np.int32, data=[1, 2]), tensor("v", 3, 2, scale=0.02, data=matrix)]
    nodes = [
        node("PAD", "x pads", "p"), node("CONV_2D", "p w", "c", padding="VALID"), node("RELU", "c", "r"),
        node("ADD", "r x", "a", pot_scale_int16=False), node("MEAN", "a axes", "m"),
        node("FULLY_CONNECTED", "m v", "y"),
    ]  # fmt: skip
    return tensors, nodes


def two_outputs() -> Parts:
    """Two inputs, joined and pooled; the joined tensor is an output and is read as well."""
    tensors = [tensor("a", 1, 3, 4, 1), tensor("b", 1, 3, 4, 2), tensor("y", 1, 3, 4, 3), tensor("z", 1, 1, 2, 3)]
    pool = node("MAX_POOL_2D", "y", "z", filter_width=2, filter_height=3, stride_w=2, stride_h=3, padding="VALID")
    return tensors, [node("CONCATENATION", "a b", "y", axis=3), pool]
