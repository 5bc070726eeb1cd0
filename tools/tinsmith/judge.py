"""The official TensorFlow Lite Micro runtime, which says what is right."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .errors import TargetError
from .graph import Array, Graph


class Judge:
    """Runs a .tflite model in the `tflite-micro` wheel.

    Raises TargetError where the wheel is not installed, or where it refuses the model.
    """

    def __init__(self, data: bytes, graph: Graph, preserve: bool = False) -> None:
        """`preserve` keeps every tensor readable after a run."""
        runtime = import_runtime()
        config = runtime.InterpreterConfig
        activations = sum(t.nbytes for t in graph.activations())
        self.graph = graph
        with captured_stderr() as said:
            try:
                self.interpreter = runtime.Interpreter.from_bytes(
                    data,
                    arena_size=2**20 + 20 * len(data) + 4 * activations,
                    intrepreter_config=config.kPreserveAllTensors if preserve else config.kAllocationRecording,
                )
            except RuntimeError as error:
                reason = b"".join(said()).decode(errors="replace").strip().splitlines()
                raise TargetError(f"{graph.name}: TensorFlow Lite Micro refuses the model: {reason or error}") from None

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The model's outputs for one sample, in its order."""
        for index, value in enumerate(sample):
            self.interpreter.set_input(value, index)
        self.interpreter.invoke()
        return [np.array(self.interpreter.get_output(i)) for i in range(len(self.graph.outputs))]

    def tensor(self, source: int) -> Array:
        """A tensor after the last run, by its index in the file; needs `preserve`."""
        return np.array(self.interpreter.GetTensor(source, 0)["tensor_data"])


def import_runtime() -> Any:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        raise TargetError(
            "comparing needs the official TensorFlow Lite Micro runtime (Linux x86-64): pip install 'tinsmith[verify]'"
        ) from None
    return runtime


@contextmanager
def captured_stderr() -> Iterator[Any]:
    """Catches what native code writes to file descriptor 2; yields a function that returns the pieces."""
    read_end, write_end = os.pipe()
    saved = os.dup(2)
    os.dup2(write_end, 2)
    os.close(write_end)
    os.set_blocking(read_end, False)

    def said() -> list[bytes]:
        try:
            return [os.read(read_end, 65536)]
        except BlockingIOError:
            return []

    try:
        yield said
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(read_end)
