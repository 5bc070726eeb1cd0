"""What the README and the other pages tell people to do works, and their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import needs
import pytest
from needs import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("models/*.md")]


def shell_lines() -> list[str]:
    """The commands in the README's shell blocks, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


COMMANDS = [line for line in shell_lines() if line.startswith("tinsmith ")]


def test_the_readme_s_commands_are_those_that_are_tested() -> None:
    others = [line for line in shell_lines() if line not in COMMANDS]
    automation = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    for line in others:
        assert f"step {line}\n" in automation or line == ". .venv/bin/activate", f"nothing runs {line!r}"
    assert {"make demo", "make test"} <= set(others) and len(COMMANDS) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_works(line: str, tmp_path: Path) -> None:
    needs.programs("gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    needs.module("tflite_micro")
    (tmp_path / "models").symlink_to(REPOSITORY / "models")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        line, shell=True, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "digits" in result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
