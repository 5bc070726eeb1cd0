"""The input of a finding, with as few differences from its seed as still show it."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.judge import Finding, judge

MOST_TRIES = 400

Shows = Callable[[bytes], bool]


def minimised(found: Finding, seed: bytes) -> bytes:
    """Puts ranges of the seed's bytes back, in halves, as long as the same finding remains."""

    def shows(data: bytes) -> bool:
        result = judge(data)
        return isinstance(result, Finding) and result.key == found.key

    if found.kind not in ("exception", "time", "message") or not shows(found.data):
        return found.data  # needs a process of its own, or does not repeat
    return restored(found.data, seed, shows)


def restored(data: bytes, seed: bytes, shows: Shows) -> bytes:
    """`data` with every byte put back to the seed's that need not differ. Lengths are kept."""
    current, tries = bytearray(data), 0
    common = min(len(data), len(seed))
    size = max(1, common // 2)
    while size and tries < MOST_TRIES:
        for start in range(0, common, size):
            end = min(start + size, common)
            if current[start:end] == seed[start:end]:
                continue
            tried = current[:start] + seed[start:end] + current[end:]
            tries += 1
            if shows(bytes(tried)):
                current = tried
        size //= 2
    return bytes(current)


def differences(data: bytes, seed: bytes) -> str:
    """The bytes that differ, for a human: `offset: seed -> data`."""
    common = min(len(data), len(seed))
    lines = [f"{i}: {seed[i]:#04x} -> {data[i]:#04x}" for i in range(common) if data[i] != seed[i]]
    shown = lines[:40] + ([f"... and {len(lines) - 40} more"] if len(lines) > 40 else [])
    return "\n".join([*shown, f"{len(seed)} bytes in the seed, {len(data)} here"])
