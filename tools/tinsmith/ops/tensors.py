"""What ops ask tensors: shapes, rows, types."""

from __future__ import annotations

import math

import numpy as np

from ..graph import Tensor

Shape = tuple[int, ...]


def nhwc(shape: Shape) -> Shape:
    """A shape of up to four dimensions, filled with ones in front (TFLite's ExtendedShape)."""
    return (1,) * (4 - len(shape)) + tuple(shape)


def image_rows(tensor: Tensor) -> tuple[int, int]:
    """(count, bytes) of the rows of an NHWC tensor: each holds width x channels elements."""
    if len(tensor.shape) > 4:
        return 1, tensor.nbytes
    n, h, w, c = nhwc(tensor.shape)
    return n * h, w * c * tensor.dtype.itemsize


def flat(tensor: Tensor) -> int:
    return math.prod(tensor.shape)


def is_int8(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.dtype == np.int8


def same_quant(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.quant == b.quant
