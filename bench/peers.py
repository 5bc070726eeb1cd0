"""Measures the peers, and the project's own code on the files that they take."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import peer
import peer_bakenn
import peer_emlearn
import suite
from peer import PeerCost, Refused
from suite import Row

from tinsmith import samples, targets
from tinsmith.bench import bench
from tinsmith.graph import Array, Graph, Tensor
from tinsmith.interpret import interpret
from tinsmith.load.tflite import load_file
from tinsmith.pipeline import compile_model
from tinsmith.runners import joined, runner

MODULES: Mapping[str, Any] = {"bakenn": peer_bakenn, "emlearn": peer_emlearn}
OURS, AS_SHIPPED = "tinsmith", "as shipped"
CLOSE = 0.1  # of an output step: what float32 and the six decimals that emlearn writes may cost


@dataclass(frozen=True, order=True)
class PeerTask:
    """One measurement of a peer; or, as the variant OURS, of the project's own code on the peer's file."""

    peer: str
    model: str
    target: str
    variant: str

    def __str__(self) -> str:
        return f"{self.peer} {self.variant}: {self.model}/{self.target}"


@cache
def stated() -> Mapping[str, Any]:
    """peers.toml."""
    return tomllib.loads(Path(__file__).with_name("peers.toml").read_text(encoding="utf-8"))


def installed() -> dict[str, str]:
    """Versions of the peers that can be measured here."""
    versions = {name: module.version() for name, module in MODULES.items()}
    return {name: version for name, version in versions.items() if version is not None}


def absent() -> list[str]:
    """Why peers are not measured, a sentence for each."""
    found = installed()
    missing = [f"{n} is not installed (pip install {n}=={stated()[n]['version']})" for n in MODULES if n not in found]
    others = [
        f"{name} {version} is installed, the figures are those of {stated()[name]['version']}"
        for name, version in found.items()
        if version != stated()[name]["version"]
    ]
    return missing + others


def tasks(names: Mapping[str, str]) -> list[PeerTask]:
    """All measurements of these peers."""
    found = []
    for model in suite.MODELS:
        if "bakenn" in names:
            found.append(PeerTask("bakenn", model, "cortex-m4", AS_SHIPPED))
            found += [PeerTask("bakenn", model, target, variant) for target, variant in peer_bakenn.PLACES]
            found += [PeerTask("bakenn", model, target, OURS) for target in dict(peer_bakenn.PLACES)]
        if "emlearn" in names:
            found += [PeerTask("emlearn", model, target, "float32") for target in peer_emlearn.TARGETS]
    return found


def measure(task: PeerTask) -> Row:
    """A row of results.json: figures, or a `reason` if the peer refuses. Raises TinsmithError if building fails."""
    try:
        figures = _bakenn(task) if task.peer == "bakenn" else _emlearn(task)
    except Refused as error:
        figures = {"reason": str(error)}
    return {"peer": task.peer, "model": task.model, "target": task.target, "variant": task.variant, **figures}


def _bakenn(task: PeerTask) -> Row:
    path = suite.MODELS[task.model]
    if task.variant == AS_SHIPPED:
        reason = peer_bakenn.refusal(path)
        return {"reason": reason} if reason else {}
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as name:
        folder = Path(name)
        data = peer_bakenn.adapted(path)
        # Whatever it is measured on, the peer must take the file.
        variant = "portable" if task.variant == OURS else task.variant
        generated = peer_bakenn.generate(data, folder / "peer", task.target, variant)
        file = folder / f"{task.model}.tflite"
        file.write_bytes(data)
        if task.variant == OURS:
            return _own(file, task.target)
        inputs, expected = _expected(load_file(file))
        cost = peer.measure(generated, task.target, [joined(s) for s in inputs])
        return _figures(cost, _agreement(cost.outputs, expected))


def _expected(graph: Graph) -> tuple[list[list[Array]], tuple[bytes, ...]]:
    """Inputs, and what numpy computes of them."""
    inputs = _samples(graph)
    return inputs, tuple(joined([interpret(graph, s)[n] for n in graph.outputs]) for s in inputs)


def _agreement(outputs: tuple[bytes, ...], expected: tuple[bytes, ...]) -> str:
    return "equal" if outputs == expected else "different"


def _own(file: Path, target: str) -> Row:
    compiled = compile_model(file, targets.load(target), optimize=suite.MODES[suite.MAIN_MODE])
    cost = bench(compiled)
    inputs, expected = _expected(compiled.source)
    with runner(compiled) as device:
        outputs = tuple(map(joined, device.run(inputs)))
    return {
        "instructions": cost.instructions, "ram_bytes": cost.arena_bytes, "stack_bytes": cost.stack_bytes,
        "flash_bytes": cost.flash_code_bytes + cost.flash_data_bytes, "outputs": _agreement(outputs, expected),
    }  # fmt: skip


def _samples(graph: Graph) -> list[list[Array]]:
    """Extremes, then the input that is counted."""
    tensors = [graph[name] for name in graph.inputs]
    return [[samples.alternating(t) for t in tensors], [samples.fixed(t) for t in tensors]]


def _emlearn(task: PeerTask) -> Row:
    path = suite.MODELS[task.model]
    net = peer_emlearn.network(path)
    graph = load_file(path)
    ends = graph[graph.inputs[0]], graph[graph.outputs[0]]
    inputs = [_real(sample[0], ends[0]) for sample in _samples(graph)]
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as folder:
        generated = peer_emlearn.generate(net, Path(folder))
        cost = peer.measure(generated, task.target, [x.tobytes() for x in inputs])
    results = [peer_emlearn.result(data, net) for data in cost.outputs]
    worst = max(
        float(np.abs(peer_emlearn.reference(net, x) - y).max()) / ends[1].scale
        for x, y in zip(inputs, results, strict=True)
    )
    return _figures(cost, "close" if worst < CLOSE else f"different by {worst:.2g} output steps")


def _real(values: Array, tensor: Tensor) -> Array:
    result: Array = ((values.reshape(-1).astype(np.float64) - tensor.zero_point) * tensor.scale).astype(np.float32)
    return result


def _figures(cost: PeerCost, outputs: str) -> Row:
    return {
        "instructions": cost.instructions, "ram_bytes": cost.ram_bytes, "stack_bytes": cost.stack_bytes,
        "flash_bytes": cost.flash_code_bytes + cost.flash_data_bytes, "outputs": outputs,
    }  # fmt: skip


def collected(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Figures, and refusals of a model (one each for the file as it is and for its adapted form)."""
    figures = [row for row in rows if "instructions" in row]
    refusals: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        if "reason" in row:
            form = AS_SHIPPED if row["variant"] == AS_SHIPPED or row["peer"] != "bakenn" else "adapted"
            refusals[(row["peer"], row["model"], form)] = {
                "peer": row["peer"], "model": row["model"], "file": form, "reason": row["reason"],
            }  # fmt: skip
    return figures, [refusals[key] for key in sorted(refusals)]
