"""Errors that a user can cause; everything else that escapes is a bug."""

from __future__ import annotations


class TinsmithError(Exception):
    """Base of all errors that the command line prints as one message and exit code 1."""


class ModelError(TinsmithError):
    """A model file is damaged or inconsistent; the message names the thing, the rule and the value."""


class Unsupported(TinsmithError):
    """A valid model needs something that Tinsmith does not do; lists all findings at once."""


class InputError(TinsmithError):
    """Input data or an option does not fit the model; the message names both sides."""


class BudgetMissed(TinsmithError):
    """A model does not fit the memory that it may use; the message says by how much. Exit code 2."""

    def __init__(self, message: str, needed: int) -> None:
        super().__init__(message)
        self.needed = needed  # the smallest budget, in bytes, that can be met


class TargetError(TinsmithError):
    """A target, its toolchain or its emulator is missing or failed."""
