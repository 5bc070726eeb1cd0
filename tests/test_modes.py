"""Every mode gives the same bytes on every target, and spends what it says."""

from __future__ import annotations

import many
import needs
import numpy as np
import pytest

from tinsmith import modes, ops, targets
from tinsmith.bench import bench
from tinsmith.errors import InputError
from tinsmith.pipeline import compile_model
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
    with pytest.raises(InputError, match=r"'fast'.*balanced, speed, size"):
        compile_model(DIGITS, targets.load("host"), optimize="fast")
