"""Pictures as files: SVG as it is, PNG where a package can draw it."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError, TinsmithError

DENSITY = 2  # pixels of a PNG for each of the SVG, as screens are fine
NO_PNG = "PNG needs the package cairosvg and the library cairo: pip install 'tinsmith[png]', or write .svg"


def check_picture(path: Path) -> None:
    """Raises InputError for a suffix that is none of a picture's, and TinsmithError where PNG cannot be drawn: before
    anything long begins."""
    if path.suffix.lower() not in (".svg", ".png"):
        raise InputError(f"{path}: pictures are .svg or .png, not {path.suffix or 'files without a suffix'}")
    if path.suffix.lower() == ".png":
        png(None)


def write_picture(path: Path, svg: str) -> None:
    """Writes a picture, whole or not at all, in the format of the path's suffix. Raises as `check_picture`, and
    TinsmithError where the place refuses it."""
    check_picture(path)
    data = svg.encode("utf-8") if path.suffix.lower() == ".svg" else png(svg)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        discard(part)
        raise TinsmithError(f"{path}: cannot write: {error.strerror}") from None


def discard(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:
        return  # it was never made: its folder is none


def png(svg: str | None) -> bytes:
    """An SVG as PNG; None only asks whether that is possible."""
    try:
        import cairosvg
    except (ImportError, OSError):  # the latter where the C library is missing
        raise TinsmithError(NO_PNG) from None
    return b"" if svg is None else bytes(cairosvg.svg2png(bytestring=svg.encode("utf-8"), scale=DENSITY))
