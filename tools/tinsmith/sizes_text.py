"""Sizes of memory as people write them."""

from __future__ import annotations

import re

from .errors import InputError

UNITS = {"": 1, "K": 1024, "M": 1024**2}
SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(?:([KM])(?:i?B)?|B)?", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Bytes: `16384`, `16K`, `16 KiB` and `16kB` are the same; on microcontrollers a K is always 1024.

    Raises InputError for anything else, for zero, and for a part of a byte.
    """
    found = SIZE.fullmatch(text.strip())
    value = float(found[1]) * UNITS[(found[2] or "").upper()] if found else 0
    if value <= 0 or value != int(value):
        raise InputError(f"{text!r} is no size of memory; write bytes (16384), or 16K, or 2M")
    return int(value)


def size_text(nbytes: int) -> str:
    """Whole or half KiB and MiB as such, anything else in bytes."""
    for unit, name in ((1024**2, "MiB"), (1024, "KiB")):
        if nbytes >= unit and nbytes * 2 % unit == 0:
            return f"{nbytes / unit:g} {name}"
    return f"{nbytes:,} bytes"
