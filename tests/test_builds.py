"""The C core builds in other people's projects: with CMake, as a plain list of files, from an installed package."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import needs
import numpy as np
import pytest
from needs import REPOSITORY

from tinsmith import ops, targets
from tinsmith.budget import measured
from tinsmith.judge import Judge
from tinsmith.load.tflite import load_file
from tinsmith.measure.sizes import flash
from tinsmith.pipeline import compile_model
from tinsmith.samples import made_up

CORE = REPOSITORY / "firmware" / "core"
HOST = REPOSITORY / "firmware" / "ports" / "host"
MODEL = REPOSITORY / "models" / "digits" / "digits.tflite"
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")

compilers = pytest.mark.parametrize("compiler", ["gcc", "clang"])


def run(*command: str | Path, stdin: bytes = b"", **environment: str) -> bytes:
    result = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert result.returncode == 0, (result.stdout + result.stderr).decode()
    return result.stdout


@compilers
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_the_core_compiles_without_a_warning(compiler: str, level: str, tmp_path: Path) -> None:
    needs.programs(compiler)
    headers = sorted(CORE.glob("*.h"))
    together = tmp_path / "headers.c"  # each header also has to compile on its own
    together.write_text("int nothing;\n")
    sources = sorted(CORE.glob("ops/*.c")) + sorted(HOST.glob("*.c"))
    assert len(headers) > 3 and len(sources) > 10
    include = (f"-I{CORE}", f"-I{HOST.parent}")
    for source in sources:
        run(compiler, *FLAGS, level, *include, "-c", source, "-o", tmp_path / "out.o")
    for header in headers:
        run(compiler, *FLAGS, level, *include, "-include", header, "-c", together, "-o", tmp_path / "out.o")


def expected(inputs: bytes) -> bytes:
    """What TensorFlow Lite Micro says about digits, 64 int8 values each."""
    judge = Judge(MODEL.read_bytes(), load_file(MODEL))
    digits = np.frombuffer(inputs, np.int8).reshape(-1, 1, 8, 8, 1)
    return b"".join(judge.run([digit])[0].tobytes() for digit in digits)


CONSUMER = REPOSITORY / "tests" / "fixtures" / "consumer"


def configured(folder: Path, *settings: str) -> tuple[str | Path, ...]:
    """The command that configures the project which uses Tinsmith."""
    command = Path(sys.executable).with_name("tinsmith")
    common = (f"-DTINSMITH_SOURCE={REPOSITORY}", f"-DTINSMITH_COMMAND={command}", "-DTINSMITH_WARNINGS_AS_ERRORS=ON")
    return "cmake", "-S", CONSUMER, "-B", folder, *common, "-DCMAKE_C_FLAGS_INIT=-Werror", *settings


def refusal(*command: str | Path) -> str:
    """What a command says that has to fail, in one line."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert result.returncode, result.stdout
    return " ".join((result.stdout + result.stderr).split())


@pytest.mark.slow
@compilers
@pytest.mark.parametrize("options", ["", "OPTIMIZE;ram;FEED_ROWS", "OPTIMIZE;speed;RAM;3K", "MEMORY;fast=700,slow=64K"])
def test_a_cmake_project_gets_the_model_s_answers(compiler: str, options: str, tmp_path: Path) -> None:
    needs.programs(compiler, "cmake", "make")
    needs.module("tflite_micro")
    inputs = b"".join(sample[0].tobytes() for _, sample in made_up(load_file(MODEL), 20, seed=4))
    run(*configured(tmp_path, f"-DCMAKE_C_COMPILER={compiler}", f"-DMODEL_OPTIONS={options}"))
    run("cmake", "--build", tmp_path)
    outputs = run(tmp_path / "consumer", stdin=inputs)
    assert len(set(outputs)) > 10  # or everything would be equal to everything
    assert outputs == expected(inputs)
    plan = json.loads((tmp_path / "consumer.models" / "digits.json").read_text())
    assert bool(plan["feed"]) == ("FEED_ROWS" in options)
    assert len(plan["memories"]) == (2 if "MEMORY" in options else 0)
    assert plan["flag"] == ("-O3" if "speed" in options else "-O2")


@pytest.mark.slow
def test_a_cmake_build_stops_if_a_budget_is_missed(tmp_path: Path) -> None:
    needs.programs("gcc", "cmake", "make")
    for options, words in (("RAM;100", "more than the budget of 100"), ("FLASH;1M", "host has none")):
        folder = tmp_path / options.replace(";", " ")
        run(*configured(folder, f"-DMODEL_OPTIONS={options}"))
        assert words in refusal("cmake", "--build", folder)
        assert not list((folder / "consumer.models").glob("digits.*"))


@pytest.mark.slow
@pytest.mark.parametrize(("target", "cpu"), [("cortex-m4", "-mcpu=cortex-m4"), ("cortex-m3", "-mcpu=cortex-m3")])
def test_a_budget_of_flash_holds_in_a_cmake_build(target: str, cpu: str, tmp_path: Path) -> None:
    """Whatever the build type: kernels and model get the flags that the budget was met with."""
    needs.programs("arm-none-eabi-gcc", "cmake", "make")
    full = measured(compile_model(MODEL, targets.load(target))).flash_bytes
    limit = full - 1000
    flags = " ".join(targets.load(target).flags)
    cross = (
        "-DCMAKE_SYSTEM_NAME=Generic", "-DCMAKE_C_COMPILER=arm-none-eabi-gcc", f"-DTINSMITH_TARGET={target}",
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_ASM_FLAGS={flags}",
        "-DCMAKE_EXE_LINKER_FLAGS=--specs=rdimon.specs -Wl,--gc-sections -Wl,-Map=consumer.map",
        "-DCMAKE_BUILD_TYPE=Release",
    )  # fmt: skip
    assert cpu in flags
    for options in ("", f"FLASH;{limit}"):
        folder = tmp_path / f"build{len(options)}"
        run(*configured(folder, *cross, f"-DMODEL_OPTIONS={options}"))
        run("cmake", "--build", folder)
        objects = [folder / "CMakeFiles" / "consumer.dir" / "consumer.models" / "digits.c.obj"]
        used = (folder / "consumer.map").read_text()
        objects += [path for path in folder.rglob("*.a") if f"{path.name}(" in used]
        size = flash(folder / "consumer.map", objects, ("digits_open", "digits_run")).flash_bytes
        assert (size <= limit) == bool(options), f"{options}: {size} bytes, {limit} allowed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("FLSH;48K", "there is no option 'FLSH;48K'"),
        ("RAM", "RAM needs a value"),
        ("NAME;a;FLASH;48K)\ntinsmith_add_model(consumer ${MODEL};NAME;b", "consumer has 2: a, b"),
        ("NAME;a)\ntinsmith_add_model(consumer ${MODEL};FLASH;48K", "consumer has 2: a, digits"),
    ],
)
def test_cmake_refuses_options_that_cannot_be(options: str, words: str, tmp_path: Path) -> None:
    needs.programs("gcc", "cmake")
    text = (CONSUMER / "CMakeLists.txt").read_text().replace("${MODEL_OPTIONS}", options.replace(";", " "))
    (tmp_path / "CMakeLists.txt").write_text(text)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }")
    settings = (f"-DTINSMITH_SOURCE={REPOSITORY}", f"-DMODEL={MODEL}", f"-DTINSMITH_COMMAND={sys.executable}")
    assert words in refusal("cmake", "-S", tmp_path, "-B", tmp_path / "build", *settings)


@pytest.mark.slow
def test_cmake_builds_a_library_with_all_kernels_for_this_computer(tmp_path: Path) -> None:
    needs.programs("gcc", "cmake", "make")
    run("cmake", "-S", REPOSITORY, "-B", tmp_path, "-DTINSMITH_BUILD_HOST_LIBRARY=ON")
    assert b"TINSMITH_WARNINGS_AS_ERRORS:BOOL=ON" in (tmp_path / "CMakeCache.txt").read_bytes()
    run("cmake", "--build", tmp_path)
    library = ctypes.CDLL(str(next(tmp_path.glob("libtinsmith_host.*"))))
    kernels = [op.kernel for op in ops.table().values() if op.Params is not None]
    assert kernels and all(hasattr(library, kernel) for kernel in kernels)


def test_platformio_names_what_exists() -> None:
    config = ConfigParser(inline_comment_prefixes=(";",))
    config.read_string((REPOSITORY / "platformio.ini").read_text(encoding="utf-8"))
    native = config["env:native"]
    assert native["platform"] == "native"
    sources = REPOSITORY / config["platformio"]["src_dir"]
    for pattern in native["build_src_filter"].split():
        if pattern.startswith("+<"):
            assert list(sources.glob(pattern[2:-1])), pattern
    for flag in native["build_flags"].split():
        if flag.startswith("-I"):
            assert (REPOSITORY / flag[2:]).is_dir(), flag
    script = native["extra_scripts"].partition(":")[2]
    assert (REPOSITORY / script).is_file()


@pytest.mark.slow
def test_an_installed_package_brings_the_core_along(tmp_path: Path) -> None:
    """The wheel, away from the checkout, compiles and builds a model."""
    needs.programs("gcc")
    site, pip = tmp_path / "site", (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, REPOSITORY)
    run(*pip, "install", "--no-deps", "--target", site, next(tmp_path.glob("*.whl")))
    python = (sys.executable, "-c")
    where = run(*python, "from tinsmith import paths; print(paths.firmware())", PYTHONPATH=str(site))
    assert Path(where.decode().strip()) == site / "tinsmith" / "firmware"
    build = "from tinsmith.cli import main; main()"
    run(*python, build, "build", MODEL, "--out", tmp_path / "out", PYTHONPATH=str(site))
    assert hasattr(ctypes.CDLL(str(tmp_path / "out" / "digits.so")), "digits_run")


def test_cmake_refuses_a_target_that_does_not_exist(tmp_path: Path) -> None:
    needs.programs("gcc", "cmake")
    command = ("cmake", "-S", REPOSITORY, "-B", tmp_path, "-DTINSMITH_TARGET=cortex-m99")
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert result.returncode and "no Tinsmith target 'cortex-m99'" in " ".join(result.stderr.split())
