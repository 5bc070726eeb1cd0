"""Writes a plan as text: {file name: text}. Nothing here touches the disk or looks at a clock."""

from __future__ import annotations

from .core import core_header
from .linked import linked

__all__ = ["core_header", "linked"]
