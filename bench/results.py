"""results.json: what a run of the benchmark left, with nothing in it that depends on when or where it ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite import RESULTS, Row

from tinsmith.errors import InputError

FORMAT = 1
_KEYS = {"format", "tools", "peers", "tinsmith", "others", "refused"}

Results = dict[str, Any]


def assembled(
    own: Sequence[Row],
    others: Sequence[Row],
    refused: Sequence[Row],
    tools: Mapping[str, str],
    peers: Mapping[str, str],
) -> Results:
    """The document, with rows in a fixed order."""
    return {
        "format": FORMAT,
        "tools": dict(sorted(tools.items())),
        "peers": dict(sorted(peers.items())),
        "tinsmith": sorted(own, key=lambda r: (r["model"], r["target"], r["mode"])),
        "others": sorted(others, key=lambda r: (r["peer"], r["model"], r["target"], r["variant"])),
        "refused": list(refused),
    }


def updated(before: Results, part: Results) -> Results:
    """Results with some of our own rows measured anew. Raises InputError if other tools made the rest."""
    if strange := [name for name, version in part["tools"].items() if before["tools"].get(name, version) != version]:
        raise InputError(f"{', '.join(strange)}: another version made the other results; measure everything")
    rows = {(row["model"], row["target"], row["mode"]): row for row in (*before["tinsmith"], *part["tinsmith"])}
    tools = {**before["tools"], **part["tools"]}
    return assembled(list(rows.values()), before["others"], before["refused"], tools, before["peers"])


def text(results: Results) -> str:
    """JSON with a row, or a layer, on a line, so that changes are seen line by line."""
    parts = []
    for key, value in results.items():
        if isinstance(value, list):
            rows = ",\n".join(f"    {_row(row)}" for row in value)
            parts.append(f"  {json.dumps(key)}: [\n{rows}\n  ]" if rows else f"  {json.dumps(key)}: []")
        else:
            parts.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _row(row: Row) -> str:
    plain = {key: value for key, value in row.items() if key != "layers"}
    if "layers" not in row:
        return json.dumps(plain)
    layers = ",\n".join(f"      {json.dumps(layer)}" for layer in row["layers"])
    return f'{json.dumps(plain)[:-1]}, "layers": [\n{layers}]}}'


def load(path: Path = RESULTS) -> Results:
    """Reads results. Raises InputError for a file that is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path.name} cannot be read ({error.strerror}); `make bench` writes it") from None
    except ValueError as error:
        raise InputError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.keys() != _KEYS:
        raise InputError(f"{path.name} is of another format than {FORMAT}; `make bench` writes it anew")
    return found
