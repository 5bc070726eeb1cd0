"""Several models take turns in one arena: as large as the largest needs, and each computes as if alone."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import needs
import pytest
from needs import REPOSITORY
from typer.testing import CliRunner

from tinsmith import targets
from tinsmith.cli import app
from tinsmith.emit.shared_arena import SharedArena
from tinsmith.errors import InputError
from tinsmith.graph import Array
from tinsmith.pipeline import compile_model, kernel_sources
from tinsmith.runners import runner
from tinsmith.samples import made_up

DIGITS = REPOSITORY / "models" / "digits" / "digits.tflite"
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
NAMES = ("digits", "hello_world_int8")

PROGRAM = """\
#include <string.h>
#include "senses.h"

static SENSES_ARENA(arena);
static const size_t bytes = sizeof arena;
static digits_t digits;
static hello_world_int8_t hello;

size_t open_all(void)
{
    if (digits_open(&digits, arena, sizeof arena) != TIN_OK) return 0;
    return hello_world_int8_open(&hello, arena, sizeof arena) == TIN_OK ? bytes : 0;
}

void run_digits(const int8_t *in, int8_t *out)
{
    memcpy(digits_input(&digits), in, DIGITS_INPUT_ELEMENTS);
    digits_run(&digits);
    memcpy(out, digits_output(&digits), DIGITS_OUTPUT_ELEMENTS);
}

void run_hello_world_int8(const int8_t *in, int8_t *out)
{
    memcpy(hello_world_int8_input(&hello), in, HELLO_WORLD_INT8_INPUT_ELEMENTS);
    hello_world_int8_run(&hello);
    memcpy(out, hello_world_int8_output(&hello), HELLO_WORLD_INT8_OUTPUT_ELEMENTS);
}
"""


@pytest.fixture(scope="module")
def models(zoo: Path) -> tuple[Path, Path]:
    return DIGITS, zoo / "tflm" / "hello_world_int8.tflite"


def command(*arguments: object, code: int = 0) -> Any:
    """The document that `tinsmith compile` prints; it must end with this exit code."""
    result = CliRunner().invoke(app, ["compile", *map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def built(compiler: str, models: tuple[Path, ...], folder: Path) -> ctypes.CDLL:
    """A library with all models and one arena."""
    command(*models, "--out", folder, "--shared-arena", "senses")
    (folder / "program.c").write_text(PROGRAM)
    compiled = [compile_model(path, targets.load("host")) for path in models]
    kernels = dict.fromkeys(source for c in compiled for source in kernel_sources(c))
    sources = [folder / "program.c", *(folder / f"{c.name}.c" for c in compiled), *kernels]
    include = (f"-I{folder}", f"-I{REPOSITORY / 'firmware' / 'core'}")
    output = folder / "senses.so"
    subprocess.run([compiler, *FLAGS, "-O1", "-fPIC", "-shared", *include, *sources, "-o", output], check=True)
    return ctypes.CDLL(str(output))


def shared_run(library: ctypes.CDLL, name: str, x: Array, count: int) -> bytes:
    out = ctypes.create_string_buffer(count)
    library[f"run_{name}"](x.tobytes(), out)
    return out.raw


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_models_that_take_turns_compute_what_each_computes_alone(
    compiler: str, models: tuple[Path, Path], tmp_path: Path
) -> None:
    needs.programs(compiler)
    alone: dict[str, list[tuple[Array, bytes]]] = {}
    for path in models:
        compiled = compile_model(path, targets.load("host"))
        samples = [values for _, values in made_up(compiled.source, 12, seed=3)]
        with runner(compiled) as device:
            results = device.run(samples)
        alone[compiled.name] = [(x[0], y[0].tobytes()) for x, y in zip(samples, results, strict=True)]
    library = built(compiler, models, tmp_path)
    library.open_all.restype = ctypes.c_size_t
    assert library.open_all() == max(compile_model(p, targets.load("host")).plan.arena_bytes for p in models)
    for turn in zip(*alone.values(), strict=True):
        for name, (x, expected) in zip(alone, turn, strict=True):
            assert shared_run(library, name, x, len(expected)) == expected
    assert all(len({y for _, y in values}) > 3 for values in alone.values())


def test_the_arena_is_exactly_what_the_largest_needs(models: tuple[Path, Path], tmp_path: Path) -> None:
    document = command(*models, "--out", tmp_path, "--target", "cortex-m4", "--shared-arena", "Two Senses")
    sizes = {m["model"]: m["arena_bytes"] for m in document["models"]}
    assert tuple(sizes) == NAMES and len(set(sizes.values())) == 2
    assert document["shared_arena"] == {"name": "two_senses", "arena_bytes": max(sizes.values())}
    header = (tmp_path / "two_senses.h").read_text()
    assert f"#define TWO_SENSES_ARENA_BYTES {max(sizes.values())}\n" in header
    for name, size in sizes.items():
        assert re.search(rf"^ \* +{size:,}  {name} +{name}.tflite$", header, re.MULTILINE)
        assert f"#define {name.upper()}_ARENA_BYTES {size}\n" in (tmp_path / f"{name}.h").read_text()
    files = [Path(f).name for f in document["files"]]
    assert files == [f"{n}.{end}" for n in NAMES for end in ("h", "c", "json")] + ["two_senses.h"]
    assert sorted(files) == sorted(f.name for f in tmp_path.iterdir())


def test_a_model_that_outgrew_the_arena_stops_the_compiler(models: tuple[Path, Path], tmp_path: Path) -> None:
    needs.programs("gcc")
    command(*models, "--out", tmp_path, "--shared-arena", "senses")
    include = f"-I{REPOSITORY / 'firmware' / 'core'}"
    check = ["gcc", *FLAGS, "-fsyntax-only", include, "-x", "c", str(tmp_path / "senses.h")]
    assert subprocess.run(check, check=False).returncode == 0
    header = tmp_path / "hello_world_int8.h"
    header.write_text(re.sub(r"(_ARENA_BYTES) \d+", r"\1 999999", header.read_text(), count=1))
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode and "hello_world_int8 was compiled anew" in result.stderr


def test_several_models_need_no_shared_arena(models: tuple[Path, Path], tmp_path: Path) -> None:
    document = command(*models, "--out", tmp_path, "--ram", "8K")
    assert "shared_arena" not in document and len(list(tmp_path.iterdir())) == 6
    assert all(m["budget"]["fits"] and m["budget"]["ram_bytes"] == 8192 for m in document["models"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--shared-arena", "Digits!"], ["Digits!", "digits.tflite", "digits.h"]),
        (["--name", "other"], ["--name other", "2 were given"]),
        (["--target", "cortex-m4", "--flash", "64K"], ["--flash", "2 were given"]),
    ],
)
def test_options_that_cannot_be_are_one_error_and_write_nothing(
    options: list[str], words: list[str], models: tuple[Path, Path], tmp_path: Path
) -> None:
    document = command(*models, "--out", tmp_path / "out", *options, code=1)
    assert document["kind"] == "InputError" and all(word in document["error"] for word in words), document
    assert not (tmp_path / "out").exists()


def test_models_with_one_name_in_c_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "Digits.tflite"
    shutil.copy(DIGITS, other)
    document = command(DIGITS, other, "--out", tmp_path / "out", "--shared-arena", "senses", code=1)
    assert all(word in document["error"] for word in (str(DIGITS), str(other), "'digits'", "rename"))
    assert not (tmp_path / "out").exists()


def test_one_model_that_misses_its_budget_leaves_nothing_of_the_others(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    document = command(*reversed(models), "--out", tmp_path / "out", "--ram", "1K", code=2)
    assert document["kind"] == "BudgetMissed" and not (tmp_path / "out").exists()


def test_file_names_cannot_break_out_of_the_comment() -> None:
    text = SharedArena.of("all", [("a", 4, 'x*/ #error "out"\n#error.tflite')]).files()["all.h"]
    assert text.count("*/") == text.count("/*") and not re.search(r"^#error\.tflite", text, re.MULTILINE)
    with pytest.raises(InputError, match="a.h"):
        SharedArena.of("A", [("a", 4, "a.tflite")])
