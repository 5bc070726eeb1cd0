"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest


@pytest.fixture(scope="session")
def zoo() -> Path:
    """The folder of public models."""
    return needs.zoo()


@pytest.fixture(scope="session")
def cross_tools() -> None:
    """Compilers and emulators of all targets."""
    needs.programs("arm-none-eabi-gcc", "qemu-system-arm", "riscv64-unknown-elf-gcc", "qemu-system-riscv32")
