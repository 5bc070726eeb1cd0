"""Firmware on emulated cores answers like the model it was built from, and says precisely how it failed."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from needs import programs as need

from tinsmith import emulate, targets, toolchain
from tinsmith.errors import InputError, TargetError

FIXTURE = Path(__file__).parent / "fixtures" / "emulator"
EMULATED = [name for name in targets.names() if targets.load(name).emulators]
UNLUCKY = 13  # the value of b on which a faulty build misbehaves
ARENA = 41

everywhere = pytest.mark.parametrize("name", EMULATED)


def firmware(name: str, folder: Path, *defines: str) -> toolchain.Built:
    """The two-node model as firmware."""
    target = targets.load(name)
    need(toolchain.compiler(target)[0], *(emulator.command[0] for emulator in target.emulators))
    output = folder / f"{name}.elf"
    settings = (*toolchain.infer_defines("two"), *defines)
    return toolchain.build(target, [FIXTURE / "two.c"], [FIXTURE], output, defines=settings)


def library(folder: Path, *defines: str, sanitize: bool = False) -> toolchain.Built:
    """The two-node model as a shared library."""
    host = targets.load("host")
    need(toolchain.compiler(host)[0])
    return toolchain.build(
        host, [FIXTURE / "two.c"], [FIXTURE], folder / "two.so", kind="shared", defines=defines, sanitize=sanitize
    )


def sample(b: int) -> bytes:
    return bytes((17 * i + b) % 256 for i in range(12)) + struct.pack("<i", b)


def sums(data: bytes) -> list[int]:
    (b,) = struct.unpack("<i", data[12:])
    return [a + b for a in struct.unpack("<12b", data[:12])]


def expected(data: bytes) -> bytes:
    out = [(3 * value - i) % 256 for i, value in enumerate(sums(data))]
    return bytes([*out, 7 * data[12] % 256])


def fault_of(built: toolchain.Built, samples: Sequence[bytes], timeout: float = 60) -> emulate.TargetFault:
    with pytest.raises(emulate.TargetFault) as caught:
        emulate.run(built, samples, timeout=timeout)
    return caught.value


@everywhere
def test_outputs_of_many_samples_come_back_in_order(name: str, tmp_path: Path) -> None:
    samples = [sample(b) for b in range(-50, 150)]
    response = emulate.run(firmware(name, tmp_path), samples)
    assert response.outputs == tuple(expected(data) for data in samples)
    assert response.traces is None
    assert 8 < response.stack_bytes < 400


@everywhere
def test_a_trace_shows_the_arena_after_each_node(name: str, tmp_path: Path) -> None:
    samples = [sample(b) for b in (5, -6, 7)]
    response = emulate.run(firmware(name, tmp_path), samples, trace=True)
    assert response.outputs == tuple(expected(data) for data in samples)
    assert response.traces is not None
    for data, (after_0, after_1) in zip(samples, response.traces, strict=True):
        assert len(after_0) == len(after_1) == ARENA
        assert after_0[:16] == data
        assert struct.unpack("<12h", after_0[16:40]) == tuple(sums(data))
        assert after_1[:12] + after_1[40:] == expected(data)


@everywhere
def test_a_model_may_use_the_math_library(name: str, tmp_path: Path) -> None:
    data = sample(5)
    response = emulate.run(firmware(name, tmp_path, "WITH_MATH"), [data])
    assert response.outputs == (expected(data)[:-1] + bytes([7 * 5 + 1]),)


FAULTS = {
    "ILLEGAL": "illegal-instruction",
    "CALL": "bad-call",
    "ACCESS": "bad-access",
    "STACK": "stack-overflow",
    "ASSERT": "assert",
    "BEHIND": "guard",
    "BEFORE": "guard",
}


@everywhere
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_with_kind_node_and_sample(name: str, fault: str, tmp_path: Path) -> None:
    report = fault_of(firmware(name, tmp_path, f"FAULT_{fault}"), [sample(4), sample(5), sample(UNLUCKY), sample(6)])
    assert (report.kind, report.node, report.sample) == (FAULTS[fault], 1, 2)
    assert name in str(report) and "node 1" in str(report)
    if fault in ("ILLEGAL", "CALL", "ACCESS", "ASSERT"):
        assert "misbehave, two.c:" in str(report)
    if fault == "ASSERT":
        assert report.text == "arena == NULL"
    if fault == "ACCESS":
        assert "address 0x18000000" in str(report)


@everywhere
def test_faulty_code_that_is_not_reached_is_no_fault(name: str, tmp_path: Path) -> None:
    samples = [sample(4), sample(5)]
    response = emulate.run(firmware(name, tmp_path, "FAULT_ILLEGAL"), samples)
    assert response.outputs == tuple(map(expected, samples))


@everywhere
def test_a_hang_is_ended_and_located(name: str, tmp_path: Path) -> None:
    report = fault_of(firmware(name, tmp_path, "FAULT_LOOP"), [sample(4), sample(UNLUCKY)], timeout=3)
    assert (report.kind, report.node, report.sample) == ("timeout", 1, 1)
    assert "misbehave, two.c:" in str(report)


@everywhere
def test_a_model_that_refuses_to_run_is_a_fault(name: str, tmp_path: Path) -> None:
    report = fault_of(firmware(name, tmp_path, "FAULT_STATUS"), [sample(4), sample(UNLUCKY), sample(5)])
    assert (report.kind, report.sample) == ("status", 1)
    assert "-3" in report.text


@pytest.mark.parametrize("padding", [0, 20000])  # on the microbit, and on the Cortex-M3 that stands in for it
def test_an_armv6m_core_faults_on_unaligned_access(padding: int, tmp_path: Path) -> None:
    built = firmware("cortex-m0plus", tmp_path, "FAULT_UNALIGNED", f"PADDING={padding}")
    report = fault_of(built, [sample(UNLUCKY)])
    assert (report.kind, report.node, report.sample) == ("unaligned", 1, 0)
    assert "misbehave, two.c:" in str(report)


@everywhere
def test_a_write_into_code_is_a_fault(name: str, tmp_path: Path) -> None:
    # Too big for the microbit, which ignores such writes as its chip does.
    built = firmware(name, tmp_path, "FAULT_CODE", "PADDING=20000")
    report = fault_of(built, [sample(4), sample(UNLUCKY)])
    assert (report.kind, report.node, report.sample) == ("bad-access", 1, 1)
    assert "misbehave, two.c:" in str(report)


def test_the_first_emulator_that_fits_is_chosen(tmp_path: Path) -> None:
    small = firmware("cortex-m0plus", tmp_path, "PADDING=9000")
    assert small.emulator and small.emulator.machine == "microbit"
    large = firmware("cortex-m0plus", tmp_path, "PADDING=20000")
    assert large.emulator and large.emulator.machine == "mps2-an385"
    assert emulate.run(large, [sample(3)]).outputs == (expected(sample(3)),)


def test_a_model_that_fits_nowhere_is_told_how_much_is_missing(tmp_path: Path) -> None:
    size = 5 << 20
    with pytest.raises(TargetError, match=r"needs (\d+) bytes more RAM than mps2-an386 has") as caught:
        firmware("cortex-m4", tmp_path, f"PADDING={size}")
    missing = int(str(caught.value).split("needs ")[1].split()[0])
    assert size < missing + (4 << 20) < size + 32768
    assert not (tmp_path / "cortex-m4.elf").exists()


def test_samples_of_the_wrong_size_are_refused(tmp_path: Path) -> None:
    built = firmware("cortex-m3", tmp_path)
    with pytest.raises(InputError, match="as many bytes as the model's inputs"):
        emulate.run(built, [b"short"])
    with pytest.raises(InputError, match=r"\[5, 16\]"):
        emulate.run(built, [b"short", sample(1)])


def test_objects_tell_what_they_belong_to(tmp_path: Path) -> None:
    built = firmware("cortex-m4", tmp_path)
    assert [path.name for path in sorted((built.objects / "model").iterdir())] == ["two.ci", "two.o"]
    assert (built.objects / "app" / "main.o").exists()
    assert built.map_file is not None and "model/two.o" in built.map_file.read_text()


def test_shipped_code_has_no_hooks(tmp_path: Path) -> None:
    """`instrument` decides what model code calls: hook and assertions, the hook alone, or nothing."""
    target = targets.load("cortex-m4")
    need(toolchain.compiler(target)[0])
    calls = {}
    for instrument in ("check", "count", "none"):
        built = toolchain.build(
            target,
            [FIXTURE / "two.c"],
            [FIXTURE],
            tmp_path / f"{instrument}.elf",
            defines=(*toolchain.infer_defines("two"), "FAULT_ASSERT"),
            instrument=instrument,
        )
        command = (toolchain.tool(target, "nm"), "-u", str(built.objects / "model" / "two.o"))
        symbols = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        calls[instrument] = sorted(symbol for symbol in symbols if symbol.startswith("tin_"))
    assert calls == {"check": ["tin_assert_failed", "tin_on_node"], "count": ["tin_on_node"], "none": []}


def test_a_compile_error_shows_the_compilers_message(tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("int f(void) { return missing; }\n")
    target = targets.load("host")
    need(toolchain.compiler(target)[0])
    with pytest.raises(TargetError, match=r"host: [^\n]+ failed:\n(.|\n)*bad\.c:1:(.|\n)*missing"):
        toolchain.build(target, [tmp_path / "bad.c"], [], tmp_path / "bad.so", kind="shared")
    assert not (tmp_path / "bad.so").exists()


def test_missing_tools_are_named_with_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = firmware("cortex-m3", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match=r"needs qemu-system-arm, .*apt-get install qemu-system-arm\)"):
        emulate.run(built, [sample(1)])
    with pytest.raises(TargetError, match=r"needs arm-none-eabi-gcc, .*gcc-arm-none-eabi"):
        toolchain.build(built.target, [FIXTURE / "two.c"], [FIXTURE], tmp_path / "again.elf")


def test_an_emulator_that_refuses_its_options_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no-such-option"):
        emulate.run(firmware("cortex-m3", tmp_path), [sample(1)], qemu_args=["-no-such-option"])


def test_an_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(TargetError, match=r"'cortex-m99'.*cortex-m0plus.*host.*rv32imc"):
        targets.load("cortex-m99")


def test_a_target_file_must_have_exactly_its_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (targets.FOLDER / "host.toml").read_text()
    monkeypatch.setattr(targets, "FOLDER", tmp_path)
    (tmp_path / "mine.toml").write_text(text)
    assert targets.load("mine").ports == ("host",)
    (tmp_path / "mine.toml").write_text(text.replace("libraries", "libary"))
    with pytest.raises(TargetError, match=r"mine\.toml: unknown field 'libary'; missing field 'libraries'"):
        targets.load("mine")


class Model(ctypes.Structure):
    """The front of tin_model, up to `run`."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("counts", ctypes.c_uint32 * 4),
        ("tensors", ctypes.c_void_p * 2),
        ("run", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)),
    ]


def test_a_host_library_runs_and_its_nodes_can_be_watched(tmp_path: Path) -> None:
    loaded = ctypes.CDLL(str(library(tmp_path).output))
    model = Model.in_dll(loaded, "two_model")
    arena = ctypes.create_string_buffer(sample(9), ARENA)
    seen: list[int] = []
    hook = ctypes.CFUNCTYPE(None, ctypes.c_int)(seen.append)
    ctypes.c_void_p.in_dll(loaded, "tin_node_hook").value = ctypes.cast(hook, ctypes.c_void_p).value
    assert model.run(ctypes.addressof(arena), ARENA) == 0
    assert seen == [0, 1, 2]
    assert arena.raw[:12] + arena.raw[40:] == expected(sample(9))


RUN_ONCE = """
import ctypes, sys
loaded = ctypes.CDLL(sys.argv[1])
run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)(
    ctypes.c_void_p.from_address(ctypes.addressof(ctypes.c_char.in_dll(loaded, "two_model")) + 40).value)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
arena = libc.malloc(ctypes.c_size_t(41))
ctypes.memmove(arena, bytes.fromhex(sys.argv[2]), 16)
print("status", run(arena, 41))
"""


@pytest.mark.parametrize(("b", "clean"), [(12, True), (UNLUCKY, False)])
def test_a_sanitized_library_finds_a_write_behind_the_arena(b: int, clean: bool, tmp_path: Path) -> None:
    if "clang" in toolchain.compiler(targets.load("host"))[0]:
        pytest.skip("sanitized libraries are for GCC")
    built = library(tmp_path, "FAULT_BEHIND", sanitize=True)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ONCE, str(built.output), sample(b).hex()],
        env={**os.environ, **toolchain.sanitizer_environment(built.target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("status 0" in done.stdout) is clean, done.stderr
    assert ("heap-buffer-overflow" in done.stderr) is not clean
