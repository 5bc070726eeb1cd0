"""The table of ops: every module in this folder that does not begin with an underscore holds some.

Adding an op means adding a file here and its kernel in firmware/core/ops/; nothing else lists them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from .base import Call, Op, Shape

__all__ = ["Call", "Op", "Shape", "find", "table"]


@cache
def table() -> Mapping[str, Op]:
    """All ops by name, in alphabetical order."""
    found: dict[str, Op] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_") or info.name == "base":
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, Op) and "name" in vars(member):
                found[member.name] = member()
    return dict(sorted(found.items()))


def find(name: str) -> Op:
    """The op of that name; KeyError if there is none."""
    return table()[name]
