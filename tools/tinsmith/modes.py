"""What to spend: the user's choice between time and flash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .errors import InputError


@dataclass(frozen=True)
class Mode:
    """How a model is compiled."""

    name: str
    summary: str
    flag: str  # optimization level of the C compiler
    special_kernels: bool  # use the kernels of the target's instruction set
    least_share: float  # of a model's effort from which on an op gets a special kernel
    # Of output in a call, at least, where layers run row by row to save RAM, or fewer if the kernel says so; None: none
    # does.
    pixels: int | None
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

# Ways to build with the same kernels: compiled into the model or not, and how; the fastest first. The first is smaller
# than the second as well, for most models: what a kernel does for other models is not in it.
FORMS = ((True, "-O2"), (False, "-O2"), (False, "-Os"), (True, "-Os"))


def mode(name: str) -> Mode:
    """The mode of that name. Raises InputError with all names if there is none."""
    if name not in MODES:
        raise InputError(f"there is no mode {name!r}; --optimize takes {', '.join(MODES)}")
    return MODES[name]


def thriftier(first: Mode, shares: Iterable[float]) -> list[Mode]:
    """The mode, then what gives up more and more speed for flash. `shares` are those of the model's ops in its effort.

    -Os costs a few hundredths of the speed and an op's fast kernel most of it, so for each choice of kernels all forms
    come before the next choice. Ops lose their fast kernels one by one, that with the least effort first. The last ways
    also give up rows, whose calls take code.
    """
    kernels = [replace(first, special_kernels=False)]
    if first.special_kernels:
        least = [first.least_share, *sorted(share for share in shares if share > first.least_share)]
        kernels = [*(replace(first, least_share=share) for share in least), *kernels]
    kernels.append(replace(kernels[-1], pixels=None))
    forms = [form for form in FORMS if first.flag != "-Os" or form[1] == "-Os"]
    ways = [replace(k, specialised=specialised, flag=flag) for k in kernels for specialised, flag in forms]
    return list(dict.fromkeys([first, *ways]))
