"""The small type language of kernel parameters: how a dataclass becomes a C struct."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from ..graph import Array


@dataclass(frozen=True)
class CType:
    """The C spelling of a kernel parameter: a scalar, or a pointer to constants in flash."""

    name: str
    pointer: bool = False


I8 = Annotated[int, CType("int8_t")]
U8 = Annotated[int, CType("uint8_t")]
I16 = Annotated[int, CType("int16_t")]
I32 = Annotated[int, CType("int32_t")]
F32 = Annotated[float, CType("float")]
I8s = Annotated[Array, CType("int8_t", pointer=True)]
U8s = Annotated[Array, CType("uint8_t", pointer=True)]
I32s = Annotated[Array, CType("int32_t", pointer=True)]


def note(text: str) -> Any:
    """A dataclass field with the comment it carries into the C header."""
    return dataclasses.field(metadata={"note": text})


def c_fields(params: type) -> list[tuple[str, CType, str]]:
    """(name, C type, comment) of each field of a Params dataclass, in order."""
    hints = get_type_hints(params, include_extras=True)
    return [(f.name, hints[f.name].__metadata__[0], f.metadata["note"]) for f in dataclasses.fields(params)]
