"""The repository keeps its promises: make help, one-line refusals, fresh files, licence, no machine's paths."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import needs
import pytest
from needs import REPOSITORY

from tinsmith.emit import core_header

PACKAGES = REPOSITORY / "tools" / "system_packages.sh"
# Where somebody's home or workplace is; nothing in a repository may depend on it.
MACHINE_PATH = re.compile(r"(?<![\w.}])/(?:work|home|root|Users)/\w")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A make of its own, whatever make runs the tests."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(["make", *arguments], cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)


def stub(folder: Path, name: str, script: str) -> Path:
    """A program that a shell script is."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def complaints(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines of standard error that make did not add itself."""
    return [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]


def tracked() -> list[Path]:
    """The files that git knows; skips where there is no git, as in a source archive."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    paths = (REPOSITORY / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_make_help_lists_every_target() -> None:
    targets = set(re.findall(r"^\.PHONY: (.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    listed = re.findall(r"^  make (\S+) +\S", make("help").stdout, re.MULTILINE)
    assert {"setup", "demo", "test", "test-fast", "lint", "fuzz", "generate"} <= targets
    assert sorted(listed) == sorted(targets)


def test_setup_refuses_an_old_python_in_one_line(tmp_path: Path) -> None:
    python = stub(tmp_path, "python", 'case $1 in --version) echo "Python 3.9.2" ;; *) exit 1 ;; esac')
    result = make("setup", f"VENV={tmp_path}/venv", f"PYTHON={python}")
    (line,) = complaints(result)
    assert result.returncode and "3.11 or newer" in line and "Python 3.9.2" in line
    assert not (tmp_path / "venv").exists()


def test_setup_refuses_a_missing_python_in_one_line(tmp_path: Path) -> None:
    result = make("setup", f"VENV={tmp_path}/venv", "PYTHON=python-of-nowhere")
    (line,) = complaints(result)
    assert result.returncode and "there is no python-of-nowhere" in line


def bare_machine(folder: Path, user: int) -> dict[str, str]:
    """An environment with gcc alone, and an apt-get that only notes what it is asked for."""
    stub(folder, "id", f"echo {user}")
    stub(folder, "gcc", "exit 0")
    stub(folder, "python3", "exit 0")
    stub(folder, "apt-get", f'echo "$*" >> {folder}/asked')
    return {"PATH": str(folder)}


def test_users_are_told_in_one_line_which_packages_are_missing(tmp_path: Path) -> None:
    result = subprocess.run([PACKAGES], env=bare_machine(tmp_path, 1000), capture_output=True, text=True, check=False)
    (line,) = result.stderr.splitlines()
    assert (result.returncode, result.stdout) == (1, "")
    names = line.partition("sudo apt-get install ")[2].split()
    assert {"gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "picolibc-riscv64-unknown-elf"} <= set(names)
    assert {"gcc", "libc6-dev", "python3-venv"}.isdisjoint(names)
    assert not (tmp_path / "asked").exists()


def test_root_gets_exactly_the_missing_packages(tmp_path: Path) -> None:
    result = subprocess.run([PACKAGES], env=bare_machine(tmp_path, 0), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert update.endswith("update")
    wanted = {word for word in install.split() if not word.startswith("-")} - {"install"}
    assert {"gcc-arm-none-eabi", "qemu-system-arm", "qemu-system-misc"} <= wanted
    assert {"gcc", "libc6-dev", "python3-venv"}.isdisjoint(wanted)


def test_a_complete_machine_is_left_alone(tmp_path: Path) -> None:
    needs.programs("gcc", "clang", "cmake", "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc", "qemu-system-riscv32")
    result = subprocess.run([PACKAGES], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_generated_header_is_fresh() -> None:
    header = REPOSITORY / "firmware" / "core" / "tin_ops.h"
    assert header.read_text() == core_header(), "run `make generate`"


def test_no_file_names_a_place_on_somebody_s_machine() -> None:
    found = []
    for path in tracked():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1):
            if MACHINE_PATH.search(line) and path.suffix != ".tflite":
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}")
    assert not found
    assert MACHINE_PATH.search("see /" + "home/me") and not MACHINE_PATH.search("shared/" + "work/x")


def test_the_licence_is_apache_2_everywhere() -> None:
    text = (REPOSITORY / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    sources = [p for p in tracked() if p.suffix in (".c", ".h", ".S", ".ld")]
    assert len(sources) > 20
    assert not [str(p) for p in sources if "SPDX-License-Identifier: Apache-2.0" not in p.read_text()]


def test_what_a_test_needs_may_be_missing_but_not_in_automation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINSMITH_ZOO", str(tmp_path))
    assert needs.zoo() == tmp_path
    monkeypatch.setenv("TINSMITH_ZOO", str(tmp_path / "nowhere"))
    for automation, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", automation)
        with pytest.raises(outcome, match="nowhere"):
            needs.zoo()
        with pytest.raises(outcome, match="not installed: program-of-nowhere"):
            needs.programs("sh", "program-of-nowhere")
        with pytest.raises(outcome, match="not installed: module_of_nowhere"):
            needs.module("module_of_nowhere")
    assert needs.module("json").loads("1") == 1
