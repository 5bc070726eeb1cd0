"""Runs firmware/apps/infer in QEMU: samples in, outputs out, faults as exceptions.

The protocol's bytes are described in firmware/apps/infer/main.c, the fault line in
firmware/ports/semihosting/fault.c.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tinsmith.errors import InputError, TargetError, TinsmithError
from tinsmith.toolchain import Built, tool

_REQUEST_MAGIC = 0x714E4954
_RESPONSE_MAGIC = 0x724E4954
_TRACE = 1

_FAULT = re.compile(r"^@tin-fault ((?:\w+=\S+ )+)text=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Response:
    """What a firmware answered. All outputs of a sample are concatenated in the model's order."""

    outputs: tuple[bytes, ...]  # per sample
    traces: tuple[tuple[bytes, ...], ...] | None  # per sample, per call of a kernel: the arena after it
    stack_bytes: int  # most stack that one run used; of a traced run, with the harness's writing
    stderr: str  # QEMU's and its plugins' messages


class TargetFault(TargetError):
    """The firmware crashed, hung, or found its own state damaged.

    `kind` is one of illegal-instruction, bad-call (a jump to where no code is), unaligned, bad-access
    (a load or store), divide-by-zero, stack-overflow, assert, guard (a write beside the arena), status
    (the model refused to run), timeout, lockup, or an architecture's catch-all hard-fault or trap.
    `node` and `sample` are indices, None outside a model or if not known. `pc` is None if not known.
    """

    def __init__(self, message: str, kind: str, node: int | None, sample: int | None, pc: int | None, text: str):
        super().__init__(message)
        self.kind = kind
        self.node = node
        self.sample = sample
        self.pc = pc
        self.text = text


def run(
    built: Built,
    samples: Sequence[bytes],
    *,
    trace: bool = False,
    timeout: float = 120.0,
    qemu_args: Sequence[str] = (),
) -> Response:
    """Run the model on every sample (all inputs' bytes, concatenated in the model's order).

    `timeout` is in seconds for the whole run; `qemu_args` are added to QEMU's command line, which runs
    in a folder of its own, so paths in them must be absolute. Raises TargetFault if the firmware
    fails, InputError if samples do not have the model's size, TargetError if QEMU is missing or fails.
    """
    sizes = {len(sample) for sample in samples}
    if len(sizes) > 1:
        raise InputError(f"all samples must have the same size, but they have {sorted(sizes)} bytes")
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as folder:
        header = struct.pack("<4I", _REQUEST_MAGIC, _TRACE * trace, len(samples), max(sizes, default=0))
        with (Path(folder) / "request.bin").open("wb") as request:
            request.write(header)
            request.writelines(samples)
        stderr = _execute(built, Path(folder), timeout, qemu_args)
        response = Path(folder) / "response.bin"
        return _parse(built, response.read_bytes() if response.exists() else b"", len(samples), trace, stderr)


def _execute(built: Built, folder: Path, timeout: float, qemu_args: Sequence[str]) -> str:
    """Run QEMU to its end and return what it wrote to standard error."""
    emulator = built.emulator
    if emulator is None:
        raise TargetError(f"{built.target.name} is not a target that runs in an emulator")
    # The control connection (QMP) is on standard input and output: it tells where a firmware hangs.
    command = (
        *(*emulator.command, "-display", "none", "-serial", "null", "-monitor", "none", "-qmp", "stdio"),
        *("-semihosting-config", "enable=on,target=native", "-kernel", str(built.output), *qemu_args),
    )
    with (folder / "stderr.txt").open("w+b") as log:
        try:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        except FileNotFoundError as error:
            raise TargetError(
                f"{built.target.name} needs {command[0]}, which was not found "
                f"(Debian: apt-get install {emulator.package})"
            ) from error
        with process:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired as error:
                raise _hang(built, process, timeout) from error
            finally:
                process.kill()
        log.seek(0)
        stderr = log.read().decode(errors="replace")
    _raise_reported(built, stderr)
    if process.returncode:
        raise TargetError(f"{command[0]} -M {emulator.machine} exited with {process.returncode}: {stderr.strip()}")
    return stderr


def _raise_reported(built: Built, stderr: str) -> None:
    """Raise the fault that the firmware, or the emulator for it, reported."""
    if found := _FAULT.search(stderr):
        fields = dict(pair.split("=", 1) for pair in found[1].split())
        numbers = {key: int(value, 16) for key, value in fields.items() if key != "kind"}
        raise _fault(built, fields["kind"], numbers, found[2])
    if "Lockup" in stderr:
        raise _fault(built, "lockup", {}, "a fault happened while a fault was handled")


def _parse(built: Built, data: bytes, samples: int, trace: bool, stderr: str) -> Response:
    """Take the response file apart."""
    magic, output_bytes, arena_bytes, _ = struct.unpack_from("<4I", data.ljust(16, b"\0"))
    trailer_magic, status, stack_bytes = struct.unpack("<IiI", data[-12:].rjust(12, b"\0"))
    if (magic, trailer_magic) != (_RESPONSE_MAGIC, _RESPONSE_MAGIC):
        raise TargetError(
            f"{built.output.name} ended without a complete response ({len(data)} bytes): {stderr.strip()}"
        )
    step = (len(data) - 28) // max(samples, 1) if trace else output_bytes
    if status:
        done = (len(data) - 28) // step if step else 0
        raise _fault(built, "status", {"sample": done}, f"the model's run function returned {status}")
    if len(data) != 28 + samples * step or (trace and arena_bytes and (step - output_bytes) % arena_bytes):
        raise TargetError(f"{built.output.name} answered {len(data)} bytes instead of {28 + samples * step}")
    outputs, traces = [], []
    for begin in range(16, 16 + samples * step, step or 1):
        cut = begin + step - output_bytes
        traces.append(tuple(data[at : at + arena_bytes] for at in range(begin, cut, arena_bytes)))
        outputs.append(data[cut : begin + step])
    return Response(tuple(outputs), tuple(traces) if trace else None, stack_bytes, stderr)


def _fault(built: Built, kind: str, numbers: dict[str, int], text: str) -> TinsmithError:
    """The exception for a fault; `numbers` are the fault line's unsigned 32-bit values."""
    if kind == "input-size":
        return InputError(f"{built.output.name}: {text}")
    node, sample = (_signed(numbers.get(name)) for name in ("node", "sample"))
    pc, caller = numbers.get("pc") or None, numbers.get("caller") or None
    where = [f"{name} {index}" for name, index in (("node", node), ("sample", sample)) if index is not None]
    if pc is not None and kind != "bad-call":
        where.append(f"at {_describe(built, pc)}")
    elif caller is not None:
        where.append(f"called from {_describe(built, caller - 2)}")
    if numbers.get("address"):
        where.append(f"address {numbers['address']:#x}")
    machine = built.emulator.machine if built.emulator else "host"
    message = f"{built.target.name} ({machine}): {kind}" + (f" in {', '.join(where)}" if where else "")
    return TargetFault(f"{message}: {text}" if text else message, kind, node, sample, pc, text)


def _signed(value: int | None) -> int | None:
    """An index from a fault line: None where the firmware had none (-1)."""
    return None if value is None or value & 0x80000000 else value


def _describe(built: Built, address: int) -> str:
    """An address with its function and line, as far as the toolchain knows them."""
    command = (tool(built.target, "addr2line"), "-f", "-s", "-e", str(built.output), f"{address:#x}")
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        lines = []
    if len(lines) < 2 or lines[0] == "??":
        return f"{address:#x}"
    return f"{address:#x} ({lines[0]}, {lines[1]})"


def _hang(built: Built, process: subprocess.Popen[bytes], timeout: float) -> TinsmithError:
    """Ask the running emulator where the firmware is."""
    numbers: dict[str, int] = {}
    try:
        assert process.stdin is not None and process.stdout is not None
        _command(process.stdin, process.stdout, "qmp_capabilities")
        _command(process.stdin, process.stdout, "stop")
        registers = _monitor(process.stdin, process.stdout, "info registers")
        if found := re.search(r"(?:R15=|\bpc\s+)([0-9a-f]{8})", registers):
            numbers["pc"] = int(found[1], 16)
        for name in ("node", "sample"):
            dump = _monitor(process.stdin, process.stdout, f"x /1xw {_address(built, f'tin_{name}'):#x}")
            numbers[name] = int(dump.split(":")[1], 16)
    except (OSError, ValueError, LookupError, subprocess.CalledProcessError):
        pass  # where it hangs is a courtesy; that it hangs is the message
    return _fault(built, "timeout", numbers, f"no end after {timeout:g} s")


def _command(to: IO[bytes], answers: IO[bytes], name: str, **arguments: str) -> str:
    """One QMP command; returns what it returned, if that is text."""
    to.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
    to.flush()
    for line in answers:
        answer = json.loads(line)
        if "return" in answer or "error" in answer:  # the greeting and events have neither
            result = answer.get("return")
            return result if isinstance(result, str) else ""
    raise ValueError("the emulator closed its control connection")


def _monitor(to: IO[bytes], answers: IO[bytes], line: str) -> str:
    return _command(to, answers, "human-monitor-command", **{"command-line": line})


def _address(built: Built, symbol: str) -> int:
    """The address of a symbol of the firmware. Raises LookupError if it has none."""
    command = (tool(built.target, "nm"), str(built.output))
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if line.split()[-1] == symbol:
            return int(line.split()[0], 16)
    raise LookupError(symbol)
