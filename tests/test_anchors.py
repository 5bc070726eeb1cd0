"""One fixed input, the same bytes on every target: those that TensorFlow Lite Micro gave in all its own builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinsmith import targets
from tinsmith.pipeline import compile_model
from tinsmith.runners import runner
from tinsmith.samples import fixed

# First output bytes of TensorFlow Lite Micro 90b983c2 for x[i] = (i * 37 + 11) mod 256, x86, Arm and RISC-V alike.
ANCHORS = {
    "mlperf_tiny/ad01_int8": [-20, 13, 21, 44, 57, 70, 49, 47, 44, 50],
    "mlperf_tiny/resnet8_int8": [-128, -128, -85, -128, -128, -128, -117, -128, 74, -128],
    "mlperf_tiny/kws_int8": [-128, -128, -128, -120, -128, -128, -128, -128, -128, -128],
    "mlperf_tiny/vww96_int8": [122, -122],
    "tflm/person_detect": [64, -64],
    "tflm/hello_world_int8": [-24],
    "tflm/micro_speech_quantized": [-128, -121, -121, 114],
}


@pytest.mark.slow
@pytest.mark.usefixtures("cross_tools")
@pytest.mark.parametrize("target", targets.names())
@pytest.mark.parametrize("model", ANCHORS)
def test_the_fixed_input_gives_the_known_output(model: str, target: str, zoo: Path) -> None:
    compiled = compile_model(zoo / f"{model}.tflite", targets.load(target))
    sample = [fixed(compiled.source[name]) for name in compiled.source.inputs]
    with runner(compiled) as device:
        ((output,),) = device.run([sample])
    assert output.reshape(-1)[:10].tolist() == ANCHORS[model]
