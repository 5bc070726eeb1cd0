"""What a test needs from the machine. It is skipped without it, with the reason; automation (CI=true) must have it."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def lacking(reason: str) -> NoReturn:
    """Skip the test; fail it in automation, where a skipped test would go unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def programs(*names: str) -> None:
    """Skip without these programs."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        lacking(f"not installed: {', '.join(missing)}")


def module(name: str) -> ModuleType:
    """An optional module, such as the official runtime; skip without it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        lacking(f"not installed: {error.name or name}")


def zoo() -> Path:
    """The folder of public models: TINSMITH_ZOO, or shared/zoo beside the repository."""
    folder = Path(os.environ.get("TINSMITH_ZOO") or REPOSITORY.parent / "shared" / "zoo")
    if not folder.is_dir():
        lacking(f"no model zoo at {folder}; TINSMITH_ZOO names another folder")
    return folder
