"""Many small graphs as one model, so that one build and one run judge them all on a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinsmith import modes, targets
from tinsmith.graph import Array, Graph, Node, Tensor
from tinsmith.interpret import interpret
from tinsmith.passes import lower
from tinsmith.pipeline import Compiled, compile_graph
from tinsmith.runners import runner
from tinsmith.samples import made_up


def merged(graphs: Sequence[Graph]) -> Graph:
    """One graph of independent branches; names get the branch's index in front."""
    tensors: dict[str, Tensor] = {}
    nodes: list[Node] = []
    inputs: list[str] = []
    outputs: list[str] = []
    for index, graph in enumerate(graphs):

        def named(name: str, prefix: str = f"{index}/") -> str:
            return prefix + name

        for t in graph.tensors.values():
            tensors[named(t.name)] = replace(t, name=named(t.name))
        for n in graph.nodes:
            sources = tuple(None if i is None else named(i) for i in n.inputs)
            nodes.append(replace(n, name=named(n.name), inputs=sources, outputs=tuple(named(o) for o in n.outputs)))
        inputs += [named(n) for n in graph.inputs]
        outputs += [named(n) for n in graph.outputs]
    return Graph("many", tensors, tuple(nodes), tuple(inputs), tuple(outputs))


def compiled(graph: Graph, target: str, optimize: str = modes.DEFAULT) -> Compiled:
    """A graph compiled for a target without a file; every node gets a fast kernel that suits it."""
    chosen, mode = targets.load(target), replace(modes.mode(optimize), least_share=0.0)
    return compile_graph(lower(graph), graph, Path("many.tflite"), chosen, "many", mode)


def kernels_used(model: Compiled) -> list[str]:
    """The kernel of each node, in order."""
    return [model.plan.kernel(n).kernel for n in model.nodes]


def differences(
    graphs: Sequence[Graph], target: str, samples: int = 8, seed: int = 0, optimize: str = modes.DEFAULT
) -> list[str]:
    """What differs between numpy and the target, for each graph on extreme and random inputs."""
    graph = merged(graphs)
    cases = [sample for _, sample in made_up(graph, samples, seed)]
    with runner(compiled(graph, target, optimize)) as device:
        results = device.run(cases)
    found = []
    for number, (case, got) in enumerate(zip(cases, results, strict=True)):
        values = interpret(graph, case)
        for name, array in zip(graph.outputs, got, strict=True):
            wrong = np.flatnonzero(array.reshape(-1) != values[name].reshape(-1))
            if len(wrong):
                found.append(f"sample {number}, {name}: {describe(array, values[name], wrong)}")
    return found


def describe(got: Array, expected: Array, wrong: Array) -> str:
    at = int(wrong[0])
    return f"{len(wrong)} of {got.size} differ, first at {at}: {expected.reshape(-1)[at]} became {got.reshape(-1)[at]}"
