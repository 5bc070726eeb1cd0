"""What to spend: the user's choice between time and flash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InputError


@dataclass(frozen=True)
class Mode:
    """How a model is compiled."""

    name: str
    summary: str
    flag: str  # optimization level of the C compiler
    special_kernels: bool  # use the kernels of the target's instruction set
    least_share: float  # of a model's effort from which on an op gets a special kernel
    pixels: int | None  # of output in a call, at least, where layers run row by row to save RAM; None: none does
    specialised: bool  # compile the kernels into the model, where their parameters are known constants


MODES: Mapping[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("balanced", "fast kernels, shared by all layers; some rows at a time", "-O2", True, 0.004, 32, False),
        Mode("speed", "fast kernels, compiled anew for each layer where that helps", "-O3", True, 0.0, None, True),
        Mode("ram", "the smallest arena: layers run row by row", "-O2", True, 0.004, 1, False),
        Mode("size", "the smallest code: portable kernels", "-Os", False, 0.0, None, False),
    )
}
DEFAULT = "balanced"


def mode(name: str) -> Mode:
    """The mode of that name. Raises InputError with all names if there is none."""
    if name not in MODES:
        raise InputError(f"there is no mode {name!r}; --optimize takes {', '.join(MODES)}")
    return MODES[name]
