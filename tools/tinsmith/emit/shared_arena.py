"""NAME.h for several models that take turns in one arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import __version__
from ..errors import InputError
from .render import identifier, render, safe_comment


@dataclass(frozen=True)
class SharedArena:
    """One arena for several models, of which one works at a time. All names are C identifiers."""

    name: str
    models: Mapping[str, int]  # name -> bytes of arena
    sources: Mapping[str, str]  # name -> model file, for people

    @property
    def arena_bytes(self) -> int:
        """The most that any of the models needs."""
        return max(self.models.values())

    @classmethod
    def of(cls, name: str, models: Sequence[tuple[str, int, str]]) -> SharedArena:
        """`models` are (C identifier, bytes, file). Raises InputError if `name` is the name of one of them."""
        symbol = identifier(name)
        for model, _, source in models:
            if model == symbol:
                raise InputError(f"--shared-arena {name}: {source} is {model!r} in C too: both would be {model}.h")
        return cls(symbol, {m: size for m, size, _ in models}, {m: source for m, _, source in models})

    def files(self) -> dict[str, str]:
        """NAME.h, which includes the headers of the models. The same models give the same bytes."""
        width = max(len(f"{size:,}") for size in self.models.values())
        longest = max(map(len, self.models))
        entries = [
            {
                "name": name, "NAME": name.upper(), "bytes": size,
                "line": f"{size:>{width},}  {name:<{longest}}  {safe_comment(self.sources[name])}",
            }
            for name, size in self.models.items()
        ]  # fmt: skip
        values = {"name": self.name, "NAME": self.name.upper(), "arena_bytes": self.arena_bytes, "models": entries}
        return {f"{self.name}.h": render("shared_arena.h.j2", version=__version__, width=width, **values)}


def require_distinct(models: Sequence[tuple[str, object]]) -> None:
    """Raises InputError if two of these (C identifier, file) have one name."""
    first: dict[str, object] = {}
    for name, source in models:
        if name in first:
            raise InputError(
                f"{first[name]} and {source} are both {name!r} in C, and would be the same files; rename one of them"
            )
        first[name] = source
