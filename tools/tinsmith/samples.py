"""Inputs for models: from files, and made up to find differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .errors import InputError
from .graph import Array, Graph, Tensor

Sample = list[Array]


def from_files(graph: Graph, paths: Sequence[Path], saturate: bool = False) -> list[Sample]:
    """Samples from one .npy file an input, each of the input's shape or with one more dimension in front.

    Float arrays are quantized with the model's own scale, integers pass as they are. Raises InputError
    where a shape, type or range does not fit, naming both sides; with `saturate`, floats beyond the
    range of an input are cut off instead.
    """
    if len(paths) != len(graph.inputs):
        raise InputError(
            f"{graph.name} has {len(graph.inputs)} inputs ({', '.join(graph.inputs)}), {len(paths)} files were given"
        )
    columns = [batch(graph[n], read(p), p, saturate) for n, p in zip(graph.inputs, paths, strict=True)]
    counts = {len(c) for c in columns}
    if len(counts) > 1:
        found = ", ".join(f"{p} {len(c)}" for p, c in zip(paths, columns, strict=True))
        raise InputError(f"the files hold different numbers of samples: {found}")
    return [list(row) for row in zip(*columns, strict=True)]


def read(path: Path) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy file: {error}") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: an .npz archive; give one .npy file for each input")
    return array


def batch(tensor: Tensor, array: Array, path: Path, saturate: bool) -> Array:
    """Samples [n, *shape] in the tensor's type."""
    if array.shape == tensor.shape:
        array = array[None]
    # A leading 1 of the model's shape is its batch, which files of several samples leave out.
    elif array.ndim == len(tensor.shape) and tensor.shape[:1] == (1,) and array.shape[1:] == tensor.shape[1:]:
        array = array[:, None]
    elif array.shape[1:] != tensor.shape:
        raise InputError(
            f"{path} has shape {list(array.shape)}; input {tensor.name!r} needs {list(tensor.shape)}, or [n, ...] of it"
        )
    if not len(array):
        raise InputError(f"{path} holds no samples: its shape is {list(array.shape)}")
    return converted(tensor, array, path, saturate)


def converted(tensor: Tensor, array: Array, path: Path, saturate: bool) -> Array:
    """Values in the tensor's type: floats quantized, integers checked."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{path} holds values that are not finite; input {tensor.name!r} is {tensor.dtype}")
    if tensor.dtype.kind == "f":
        if array.dtype.kind not in "fiu":
            raise InputError(f"{path} is {array.dtype}; input {tensor.name!r} is {tensor.dtype}")
        return array.astype(tensor.dtype)
    info = np.iinfo(tensor.dtype)
    if array.dtype.kind == "f":
        return quantize(tensor, array, path, saturate)
    if array.dtype.kind not in "iu":
        raise InputError(f"{path} is {array.dtype}; input {tensor.name!r} is {tensor.dtype}")
    low, high = int(array.min()), int(array.max())
    if low < info.min or high > info.max:
        raise InputError(
            f"{path} holds values from {low} to {high}; input {tensor.name!r} is {tensor.dtype}, "
            f"{info.min} to {info.max}"
        )
    return array.astype(tensor.dtype)


def quantize(tensor: Tensor, array: Array, path: Path, saturate: bool) -> Array:
    """round(x / scale) + zero point, in the range of the type."""
    if tensor.quant is None:
        raise InputError(
            f"{path} is {array.dtype}; input {tensor.name!r} is {tensor.dtype} and has no scale: give integers"
        )
    info = np.iinfo(tensor.dtype)
    steps = array.astype(np.float64) / tensor.scale + tensor.zero_point
    # Half a step beyond the ends still rounds to them.
    if not saturate and (steps.min() < info.min - 0.5 or steps.max() > info.max + 0.5):
        low, high = real(tensor, info.min), real(tensor, info.max)
        raise InputError(
            f"{path} holds values from {array.min():.6g} to {array.max():.6g}; input {tensor.name!r} represents "
            f"{low:.6g} to {high:.6g} (scale {tensor.scale:.6g}, zero point {tensor.zero_point}); --saturate cuts off"
        )
    return np.clip(np.rint(steps), info.min, info.max).astype(tensor.dtype)


def real(tensor: Tensor, quantized: int) -> float:
    return tensor.scale * (quantized - tensor.zero_point)


def fixed(tensor: Tensor) -> Array:
    """The input that figures are quoted for: x[i] = (i * 37 + 11) mod 256, as bytes."""
    pattern = ((np.arange(tensor.size) * 37 + 11) & 0xFF).astype(np.uint8)
    if tensor.dtype.itemsize == 1:
        return pattern.view(tensor.dtype).reshape(tensor.shape)
    return (pattern.astype(np.float32) / 128 - 1).astype(tensor.dtype).reshape(tensor.shape)


def made_up(graph: Graph, count: int, seed: int) -> Iterator[tuple[str, Sample]]:
    """(kind, sample) for `count` samples: the fixed pattern, extremes, then random ones of several kinds."""
    inputs = [graph[n] for n in graph.inputs]
    rng = np.random.default_rng(seed)
    named = [
        ("fixed pattern", [fixed(t) for t in inputs]),
        ("all least", [level(t, 0.0) for t in inputs]),
        ("all greatest", [level(t, 1.0) for t in inputs]),
        ("all zero", [zero(t) for t in inputs]),
        ("alternating extremes", [alternating(t) for t in inputs]),
    ]
    yield from named[:count]
    for index in range(max(0, count - len(named))):
        kind = ("random", "random extremes", "random walk")[index % 3 if index % 5 == 0 else 0]
        yield kind, [random_values(t, kind, rng) for t in inputs]


def bounds(tensor: Tensor) -> tuple[float, float]:
    """Least and greatest value of a type; for floats, a range that models are used in."""
    if tensor.dtype.kind == "f":
        return -10.0, 10.0
    info = np.iinfo(tensor.dtype)
    return info.min, info.max


def level(tensor: Tensor, share: float) -> Array:
    low, high = bounds(tensor)
    return np.full(tensor.shape, low + share * (high - low)).astype(tensor.dtype)


def zero(tensor: Tensor) -> Array:
    return np.full(tensor.shape, tensor.zero_point if tensor.quant and tensor.dtype.kind != "f" else 0).astype(
        tensor.dtype
    )


def alternating(tensor: Tensor) -> Array:
    low, high = bounds(tensor)
    return np.where(np.arange(tensor.size) % 2, low, high).astype(tensor.dtype).reshape(tensor.shape)


def random_values(tensor: Tensor, kind: str, rng: np.random.Generator) -> Array:
    low, high = bounds(tensor)
    if kind == "random extremes":
        values = rng.choice([low, high], tensor.size)
    elif kind == "random walk":
        steps = np.cumsum(rng.normal(0, (high - low) / 40, tensor.size)) + (low + high) / 2
        values = np.clip(steps, low, high)
    else:
        values = rng.uniform(low, high + (tensor.dtype.kind != "f"), tensor.size)
        values = np.floor(values) if tensor.dtype.kind != "f" else values
    result: Array = np.clip(values, low, high).astype(tensor.dtype)
    return result.reshape(tensor.shape)
