"""The TFLite schema as the `tflite` package generates it: names for numbers, and options tables by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import tflite

#: Attrs fields whose options hold an enumeration: the generated modules keep no trace of it. Every other
#: enumeration of the schema ends in "type" and is a TensorType.
ENUM_FIELDS: Mapping[str, type] = {
    "padding": tflite.Padding,
    "fused_activation_function": tflite.ActivationFunctionType,
    "mode": tflite.MirrorPadMode,
    "kernel_type": tflite.LSTMKernelType,
    "weights_format": tflite.FullyConnectedOptionsWeightsFormat,
}


@cache
def names(enum: type) -> Mapping[int, str]:
    """Number -> name of a generated enumeration."""
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


@cache
def numbers(enum: type) -> Mapping[str, int]:
    """Name -> number of a generated enumeration."""
    return {name: value for value, name in names(enum).items()}


def camel(field: str) -> str:
    """stride_w -> StrideW, as generated accessors are called."""
    return "".join(part[:1].upper() + part[1:] for part in field.split("_"))


def options_class(type_number: int) -> Any:
    """The generated class of a BuiltinOptions number, or None."""
    name = names(tflite.BuiltinOptions).get(type_number, "NONE")
    return getattr(tflite, name, None) if name != "NONE" else None
