"""A new op is two new files: one in tools/tinsmith/ops, one in firmware/core/ops. Nothing else is edited."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import needs
import pytest

from tinsmith import toolchain

TESTS = Path(__file__).parent
FIXTURE = TESTS / "fixtures" / "new_op"
ADDED = {"tools/tinsmith/ops/maximum.py", "firmware/core/ops/maximum.c"}
GENERATED = {"firmware/core/tin_ops.h", "docs/ops.md"}


def contents(root: Path) -> dict[str, str]:
    """Digest of every file that belongs to the project."""
    files = (p for p in root.rglob("*") if p.is_file() and "cache" not in str(p))
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tools and the core with the new op in it, generated files written anew."""
    needs.programs("gcc")
    root = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(Path(toolchain.__file__).parent, root / "tools" / "tinsmith", ignore=ignored)
    shutil.copytree(toolchain.FIRMWARE, root / "firmware", ignore=ignored)
    (root / "docs").mkdir()
    before = contents(root)
    shutil.copy(FIXTURE / "maximum.py", root / "tools" / "tinsmith" / "ops")
    shutil.copy(FIXTURE / "maximum.c", root / "firmware" / "core" / "ops")
    run(root, "-m", "tinsmith.generate")
    after = contents(root)
    assert {name for name in after if after[name] != before.get(name)} == ADDED | GENERATED
    return root


def run(root: Path, *arguments: str) -> str:
    """Python with the copied tools, and this folder's helpers. Fails the test with what was printed."""
    paths = os.pathsep.join([str(root / "tools"), str(TESTS)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_copy_is_what_runs(checkout: Path) -> None:
    assert str(checkout) in run(checkout, "-c", "import tinsmith; print(tinsmith.__file__)")


def test_header_and_manual_know_it(checkout: Path) -> None:
    header, manual = ((checkout / name).read_text() for name in sorted(GENERATED, reverse=True))
    assert "tin_maximum(const tin_maximum_params *p" in header
    assert "## MAXIMUM" in manual and "Inputs must have one shape, and one scale with the output." in manual


def test_the_tests_of_all_ops_judge_it(checkout: Path) -> None:
    """Parity with the judge, rows, rings and overlaps: found by the table alone."""
    pytest.importorskip("tflite_micro")
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(TESTS.parent), "-k", "MAXIMUM and not many"]
    out = run(checkout, "-m", "pytest", *options, str(TESTS / "test_ops_parity.py"), str(TESTS / "test_rows.py"))
    assert "5 passed" in out


def test_a_model_with_it_runs_from_file_to_result(checkout: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    run(checkout, str(FIXTURE / "model.py"), str(tmp_path))
