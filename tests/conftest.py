"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest


@pytest.fixture(scope="session")
def zoo() -> Path:
    """The folder of public models."""
    return needs.zoo()
