"""Every mode gives the same bytes on every target, and spends what it says."""

from __future__ import annotations

import dataclasses
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import many
import needs
import numpy as np
import pytest

from tinsmith import modes, ops, targets
from tinsmith.bench import bench
from tinsmith.errors import InputError
from tinsmith.graph import Graph
from tinsmith.pipeline import compile_model
from tinsmith.plan import Plan
from tinsmith.verify import verify

DIGITS = needs.REPOSITORY / "models" / "digits" / "digits.tflite"
CROSS = [name for name in targets.names() if targets.load(name).emulators]


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("optimize", modes.MODES)
@pytest.mark.parametrize("target", targets.names())
def test_digits_are_the_judge_s_in_every_mode(target: str, optimize: str) -> None:
    assert verify(compile_model(DIGITS, targets.load(target), optimize=optimize), samples=6).passed


@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", CROSS)
def test_all_ops_together_can_be_specialised(target: str) -> None:
    """Kernels share one translation unit in this mode, so that nothing in them may have the same name."""
    rng = np.random.default_rng(4)
    graphs = [next(op.examples(rng)) for op in ops.table().values() if op.Params is not None for _ in range(3)]
    assert many.differences(graphs, target, samples=3, optimize="speed") == []


@pytest.mark.usefixtures("cross_tools")
def test_size_is_the_smallest_and_speed_the_fastest() -> None:
    costs = {m: bench(compile_model(DIGITS, targets.load("cortex-m4"), optimize=m)) for m in modes.MODES}
    assert costs["size"].flash_code_bytes == min(c.flash_code_bytes for c in costs.values())
    assert costs["speed"].instructions == min(c.instructions for c in costs.values())
    assert costs["balanced"].instructions < costs["size"].instructions


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match=r"'fast'.*balanced, speed, ram, size"):
        compile_model(DIGITS, targets.load("host"), optimize="fast")


def parted(rng: np.random.Generator) -> list[Graph]:
    """Examples with a fast kernel on Cortex-M4, each with other parts of it left out."""
    found: dict[tuple[str, ...], Graph] = {}
    for name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        for graph in itertools.islice(ops.find(name).examples(rng), 60):
            model = many.compiled(graph, "cortex-m4")
            found.setdefault(model.plan.omitted_parts(thrifty=True), graph)
    found.pop((), None)
    return list(found.values())


@pytest.mark.usefixtures("cross_tools")
def test_a_model_is_right_without_the_parts_of_kernels_that_it_does_not_use() -> None:
    graphs = parted(np.random.default_rng(8))
    models = [many.compiled(graph, "cortex-m4") for graph in graphs]
    offered = {k.part_macro(p) for m in models for k in m.plan.kernels.values() for p in k.parts}
    assert offered == {macro for m in models for macro in m.plan.omitted_parts(thrifty=True)}
    for model, graph in list(zip(models, graphs, strict=True))[:12]:
        defines = json.loads(model.files["many.json"])["defines"]
        assert {f"{macro}=0" for macro in model.plan.omitted_parts(thrifty=True)} <= set(defines)
        assert many.differences([graph], "cortex-m4", samples=4) == []
        fast = many.compiled(graph, "cortex-m4", "speed")
        macros = fast.plan.omitted_parts(thrifty=False)
        assert macros and all(f"#define {macro} 0" in fast.files["many.c"] for macro in macros)


@pytest.mark.usefixtures("cross_tools", "zoo")
def test_parts_that_are_left_out_take_no_flash(zoo: Path) -> None:
    compiled = compile_model(zoo / "mlperf_tiny" / "kws_int8.tflite", targets.load("cortex-m4"))
    lean = bench(compiled).flash_code_bytes
    full = bench(replace(compiled, plan=WithAllParts(**fields_of(compiled.plan)))).flash_code_bytes
    assert lean < 12 * 1024
    assert lean + 4096 < full


class WithAllParts(Plan):
    """A plan that leaves out nothing."""

    def omitted_parts(self, thrifty: bool) -> tuple[str, ...]:
        return ()


def fields_of(plan: Plan) -> dict[str, Any]:
    return {f.name: getattr(plan, f.name) for f in dataclasses.fields(plan)}


def test_ops_that_hardly_matter_run_portable_kernels_unless_speed_is_all(zoo: Path) -> None:
    path, target = zoo / "mlperf_tiny" / "kws_int8.tflite", targets.load("cortex-m4")
    kernels = {
        m: {k.name: k.arch for k in compile_model(path, target, optimize=m).plan.kernels.values()} for m in modes.MODES
    }
    assert kernels["balanced"]["CONV_2D"] == kernels["speed"]["CONV_2D"] == "dsp"
    assert (kernels["balanced"]["FULLY_CONNECTED"], kernels["speed"]["FULLY_CONNECTED"]) == ("", "dsp")
    assert set(kernels["size"].values()) == {""}
