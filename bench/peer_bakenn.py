"""bakenn: a compiler of the same kind, from int8 .tflite files to C (PyPI; Apache-2.0).

It takes none of the benchmark models as they are. `adapted` writes the same network in the form
that it takes: fixed shapes, the operator versions it knows, and no softmax at the end, which its
importer lacks. Both compilers are then measured on that file.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
import tempfile
from pathlib import Path

from peer import Generated, Refused

from tinsmith.errors import TinsmithError
from tinsmith.load.tflite import load_file
from tinsmith.save.tflite import save_tflite

# The operator versions that its importer allows.
VERSIONS = {
    "ADD": 2, "AVERAGE_POOL_2D": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "MAX_POOL_2D": 2,
    "PAD": 2, "RESHAPE": 1,
}  # fmt: skip
# Its kernel policies: portable is the default; static priority prefers specialized kernels, first those of
# CMSIS-NN where they are enabled, which its package brings along for cores with the DSP extension.
PLACES = (
    ("cortex-m4", "portable"), ("cortex-m4", "specialized"), ("cortex-m4", "cmsis_nn"),
    ("rv32imc", "portable"), ("rv32imc", "specialized"),
)  # fmt: skip


def version() -> str | None:
    """The installed version; None if it is not installed."""
    try:
        return importlib.metadata.version("bakenn")
    except importlib.metadata.PackageNotFoundError:
        return None


def adapted(model: Path) -> bytes:
    """The network of a file in bakenn's dialect of .tflite, without a softmax at its end."""
    graph = load_file(model)
    last = graph.nodes[-1]
    if last.op == "SOFTMAX" and last.inputs[0] is not None:
        graph = dataclasses.replace(graph, nodes=graph.nodes[:-1], outputs=(last.inputs[0],))
    return save_tflite(graph, VERSIONS)


def refusal(model: Path) -> str | None:
    """Why it does not take a file as it is; None if it does."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as folder:
        try:
            _compile(model.read_bytes(), Path(folder), "cortex-m4", "portable")
        except Refused as error:
            return str(error)
    return None


def generate(data: bytes, folder: Path, target: str, variant: str) -> Generated:
    """Its C for a model file's bytes. Raises Refused with its own words."""
    _compile(data, folder, target, variant)
    listed = (folder / "bakenn_sources.cmake").read_text(encoding="utf-8")
    constants = _constants(folder / "bknn_model.h")
    paths = [line.split("}/", 1)[1].rstrip('"') for line in listed.splitlines() if "CMAKE_CURRENT_LIST_DIR" in line]
    define = ("BAKENN_CMSIS_NN_BUILTIN_MEMORY",) if "BAKENN_CMSIS_NN_BUILTIN_MEMORY" in listed else ()
    return Generated(
        sources=tuple(folder / p for p in paths if p.endswith(".c")),
        include_dirs=tuple(folder / p for p in paths if not p.endswith(".c")),
        headers=("bknn_model.h",),
        call="bknn_model_infer(work, (const int8_t *)in, (int8_t *)out);",
        entry="bknn_model_infer",
        input_bytes=constants["INPUT_BYTES"], output_bytes=constants["OUTPUT_BYTES"],
        work_bytes=constants["ARENA_SIZE"],
        defines=define,
    )  # fmt: skip


def _compile(data: bytes, folder: Path, target: str, variant: str) -> None:
    import bakenn

    policy = bakenn.KernelPolicy.PORTABLE if variant == "portable" else bakenn.KernelPolicy.STATIC_PRIORITY
    options = bakenn.CBackendOptions(target=bakenn.resolve_target(target), kernel_policy=policy,
                                     enable_cmsis_nn=variant == "cmsis_nn")  # fmt: skip
    try:
        bakenn.compile_tflite(data, folder, name="model", backend_options=options)
    except bakenn.BakeNNError as error:
        raise Refused(str(error)) from None


def _constants(header: Path) -> dict[str, int]:
    """The numbers that the model's header defines, without their prefix. Raises TinsmithError for another header."""
    found = dict(re.findall(r"^#define BKNN_MODEL_(\w+) (\d+)u$", header.read_text(encoding="utf-8"), re.MULTILINE))
    if missing := {"INPUT_BYTES", "OUTPUT_BYTES", "ARENA_SIZE"} - found.keys():
        raise TinsmithError(f"{header.name}: bakenn wrote no {', '.join(sorted(missing))}")
    return {name: int(value) for name, value in found.items()}
