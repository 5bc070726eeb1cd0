"""Where the C sources are: in a checkout beside the tools, in an installed package within it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def firmware() -> Path:
    """The folder firmware/ with core, ports and apps. Raises FileNotFoundError if the installation lacks it."""
    # The checkout comes first: an editable install must build what is being edited.
    candidates = (_PACKAGE.parents[1] / "firmware", _PACKAGE / "firmware")
    for folder in candidates:
        if (folder / "core" / "tin.h").is_file():
            return folder
    raise FileNotFoundError(f"tinsmith is not installed completely: no C core in {' or '.join(map(str, candidates))}")
