"""The bound on the stack holds, is near, and is refused where there is none."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import needs
import pytest
from bare_firmware import ARM, MACHINES, RISCV, Machine

from tinsmith import emulate, targets, toolchain
from tinsmith.errors import InputError, TargetError
from tinsmith.measure import stack
from tinsmith.measure.elf import all_functions, disassemble

FIXTURE = Path(__file__).parent / "fixtures" / "emulator"


def worst_case(machine: Machine, folder: Path, *files: str, entry: str = "run", **options: object) -> stack.Stack:
    """Builds C with call graphs, keeping all functions, and bounds the stack of `entry`."""
    machine.need()
    elf = machine.build(folder, *files, flags=("-fcallgraph-info=su", "-O1", "-fno-inline"))
    graphs = [path for path in folder.glob("*.ci") if path.stem not in ("library",)]
    return stack.worst_case(elf, graphs, entry, **options)  # type: ignore[arg-type]


FRAMES = """code.c
#include <stdint.h>
void fill(volatile uint8_t *bytes);
__attribute__((noinline)) static int small(int x) { volatile uint8_t a[100]; fill(a); return a[0] + x; }
__attribute__((noinline)) static int large(int x) { volatile uint8_t a[400]; fill(a); return a[0] + x; }
int run(int x) { volatile uint8_t a[40]; fill(a); return (x > 3 ? small(x) : large(x)) + a[0]; }
int main(void) { return run(4) - run(4); }
"""


def library(machine: Machine, body: str) -> str:
    """`fill`, in assembly and so without a call graph; {words} stand for the machine's instructions."""
    kind, head = ("%", " .syntax unified\n .thumb\n") if machine is ARM else ("@", "")
    return (
        f"library.S\n{head} .text\n .global fill\n .type fill, {kind}function\nfill:\n"
        + body.format(**WORDS[machine])
        + f"\n .size fill, . - fill\n .type inner, {kind}function\n .global inner\ninner:\n"
        + "{down8}\n {up8}\n {ret}\n .size inner, . - inner\n".format(**WORDS[machine])
    )


WORDS = {
    ARM: {"down24": "push {r4-r8, lr}", "up24": "pop {r4-r8, lr}", "down8": "str r0, [sp, #-8]!",
          "up8": "ldr r0, [sp], #8", "down48": "vpush {d8-d13}", "up48": "vpop {d8-d13}", "down64": "sub sp, #64",
          "up64": "add sp, #64", "call": "bl", "jump": "b", "ret": "bx lr", "pointer": "blx r3", "tail": "bx r3",
          "perhaps": "cmp r0, #0\n it eq\n popeq {r4-r8, pc}", "dynamic": "sub sp, sp, r0",
          "switch": "tbb [pc, r0]\n1: .byte (2f - 1b) / 2, (3f - 1b) / 2"},
    RISCV: {"down24": "addi sp, sp, -24", "up24": "addi sp, sp, 24", "down8": "addi sp, sp, -8",
            "up8": "addi sp, sp, 8", "down48": "addi sp, sp, -48", "up48": "addi sp, sp, 48",
            "down64": "addi sp, sp, -64", "up64": "addi sp, sp, 64", "call": "jal", "jump": "j", "ret": "ret",
            "pointer": "jalr a5", "tail": "jr a5", "perhaps": "beqz a0, 1f\n nop\n1:", "dynamic": "sub sp, sp, a0",
            "switch": "slli a0, a0, 2\n lla a1, 1f\n add a0, a0, a1\n lw a0, 0(a0)\n jr a0\n1: .word 2f, 3f"},
}  # fmt: skip
# Pushes 24, and later 64 bytes more; what it calls and frees in between is not as deep.
LEAF = "{down24}\n {call} inner\n {down48}\n {up48}\n {perhaps}\n {down64}\n nop\n {up64}\n {up24}\n {ret}"


@MACHINES
def test_the_deepest_path_is_found(machine: Machine, tmp_path: Path) -> None:
    found = worst_case(machine, tmp_path, FRAMES, library(machine, LEAF))
    assert [frame.function for frame in found.path] == ["run", "large", "fill"]
    run, large, fill = (frame.bytes for frame in found.path)
    # Arrays, saved registers (return address and at most two), and alignment to 8 or 16 bytes.
    assert 40 + 4 <= run <= 40 + 12 + 15
    assert 400 + 4 <= large <= 400 + 12 + 15
    assert fill == 24 + 64
    assert found.bytes == run + large + fill


REFUSED = {
    "is recursive": "int run(int n) { volatile int a[4]; a[0] = n; return n < 2 ? a[0] : run(n - 1) * run(n - 2); }",
    "run -> other -> run is recursive": """
        int run(int n); __attribute__((noinline)) static int other(int n) { return run(n - 1) + run(n - 2); }
        int run(int n) { return n < 2 ? n : other(n) * 2; }""",
    "frame of run has a variable size": "void use(int *p); int run(int n) { int a[n]; use(a); return a[0]; }",
    "run calls through a pointer": "int (*volatile any)(int); int run(int n) { return any(n) + 1; }",
}


@MACHINES
@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_bound_is_refused_by_name(machine: Machine, message: str, tmp_path: Path) -> None:
    rest = "\nvoid use(int *p) { *(volatile int *)p = 1; }\nint main(void) { return run(1); }\n"
    with pytest.raises(TargetError, match=message):
        worst_case(machine, tmp_path, "code.c\n" + REFUSED[message] + rest)


@MACHINES
def test_a_known_pointer_is_followed(machine: Machine, tmp_path: Path) -> None:
    code = """code.c
        __attribute__((noinline)) int callee(int n) { volatile int a[50]; a[n] = n; return a[n] + 1; }
        int (*volatile any)(int) = callee;
        int run(int n) { return any(n) + 1; }
        int main(void) { return run(1) - run(1); }
        """
    found = worst_case(machine, tmp_path, code, pointers={"run": ["callee"]})
    assert [frame.function for frame in found.path] == ["run", "callee"]
    assert found.path[1].bytes >= 200


@MACHINES
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{dynamic}\n {ret}", "fill moves the stack pointer by a register"),
        ("{down8}\n {pointer}\n {up8}\n {ret}", "fill calls through a pointer"),
        ("{tail}", "fill calls through a pointer"),
        ("9: {down8}\n {jump} 9b", "fill pushes in a loop"),
    ],
)
def test_library_code_that_is_not_understood_is_refused(
    machine: Machine, body: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TargetError, match=message):
        worst_case(machine, tmp_path, FRAMES, library(machine, body))


@MACHINES
def test_all_cases_of_a_switch_are_followed(machine: Machine, tmp_path: Path) -> None:
    body = "{down24}\n {switch}\n2: {up24}\n {ret}\n3: {down64}\n {call} inner\n {up64}\n {up24}\n {ret}"
    found = worst_case(machine, tmp_path, FRAMES, library(machine, body))
    assert [(frame.function, frame.bytes) for frame in found.path[2:]] == [("fill", 24 + 64), ("inner", 8)]


@MACHINES
def test_a_frame_pointer_may_free_the_frame(machine: Machine, tmp_path: Path) -> None:
    save, restore = ("mov r7, sp", "mov sp, r7") if machine is ARM else ("mv s0, sp", "mv sp, s0")
    body = f"{{down24}}\n {save}\n {{down64}}\n {restore}\n {{up24}}\n {{ret}}"
    found = worst_case(machine, tmp_path, FRAMES, library(machine, body))
    assert found.path[-1] == stack.Frame("fill", 24 + 64)


def test_loads_of_many_registers_from_the_frame_leave_it(tmp_path: Path) -> None:
    body = "{down24}\n ldm sp, {{r0-r4, r6}}\n {up24}\n {ret}"
    found = worst_case(ARM, tmp_path, FRAMES, library(ARM, body))
    assert found.path[-1] == stack.Frame("fill", 24)


def test_registers_that_a_helper_saves_count(tmp_path: Path) -> None:
    body = "jal t0, __riscv_save_3\n {down24}\n {up24}\n tail __riscv_restore_3"
    found = worst_case(RISCV, tmp_path, FRAMES, library(RISCV, body))
    assert found.path[-1] == stack.Frame("fill", 64 + 24)


@MACHINES
def test_calls_that_only_the_code_shows_count(machine: Machine, tmp_path: Path) -> None:
    call = WORDS[machine]["call"]
    code = f'code.c\nint run(int x) {{ __asm__ volatile("{call} fill" ::: "memory"); return x; }}\n'
    found = worst_case(machine, tmp_path, code + "int main(void) { return run(1); }\n", library(machine, LEAF))
    assert [frame.function for frame in found.path] == ["run", "fill"]


def test_calls_that_only_the_call_graph_shows_count(tmp_path: Path) -> None:
    """GCC may call a function that it knows through a register, and move parts of one elsewhere."""
    ARM.need()
    body = "b run.cold\n .size main, . - main\n .global run.cold\n .type run.cold, %function\nrun.cold:\n"
    code = (
        "code.S\n .syntax unified\n .thumb\n .text\n .global main\n .type main, %function\nmain:\n .global run\n"
        " .type run, %function\nrun:\n push {r4, lr}\n ldr r4, =fill\n "
        + body.replace("size main, . - main", "size run, . - run")
        + " blx r4\n bl other\n pop {r4, pc}\n .size run.cold, . - run.cold\n"
        " .global other\n .type other, %function\nother:\n bx lr\n .size other, . - other\n"
    )
    elf = ARM.build(tmp_path, code, library(ARM, LEAF))
    (tmp_path / "code.ci").write_text(
        'graph: { title: "code.c"\n'
        'node: { title: "run" label: "run\\ncode.c:1:5\\n8 bytes (static)" }\n'
        'node: { title: "fill" label: "fill\\ncode.c:2:6" shape : ellipse }\n'
        'edge: { sourcename: "run" targetname: "fill" label: "code.c:3:1" }\n}\n'
    )
    found = stack.worst_case(elf, [tmp_path / "code.ci"], "run")
    assert found.path == (stack.Frame("run", 8), stack.Frame("fill", 88))


def test_a_jump_too_far_for_a_branch_is_no_call(tmp_path: Path) -> None:
    """The loop is longer than the 2 KB that a branch of Armv6-M reaches."""
    core = replace(ARM, flags=("-mcpu=cortex-m0plus", "-mthumb"))
    body = "v = v + 1; " * 500
    code = f"code.c\nvolatile int v;\nint run(int x) {{ while (v) {{ {body} }} return x; }}\n"
    found = worst_case(core, tmp_path, code + "int main(void) { return run(1); }\n")
    jumps = [i for i in disassemble(tmp_path / "firmware.elf").values() if i.mnemonic == "bl"]
    assert any(i.target is not None and i.target not in starts(tmp_path) for i in jumps), "GCC did not jump like this"
    assert [frame.function for frame in found.path] == ["run"]


def starts(folder: Path) -> set[int]:
    return {function.address for function in all_functions(folder / "firmware.elf")}


@MACHINES
def test_static_functions_that_share_a_name_count_as_the_largest(machine: Machine, tmp_path: Path) -> None:
    text = "void use(volatile int *p);\nstatic int part(int n) { volatile int a[N]; use(a); return a[n]; }\n"
    small = f"small.c\n#define N 4\n{text}void use(volatile int *p) {{ *p = 1; }}\n"
    small += "int second(int n); int run(int n) { return part(n) + second(n); } int main(void) { return run(1); }\n"
    large = f"large.c\n#define N 50\n{text}int second(int n);\nint second(int n) {{ return part(n) + 1; }}\n"
    for order in ((small, large), (large, small)):
        found = worst_case(machine, tmp_path / order[0][:5], *order)
        (frame,) = (frame for frame in found.path if frame.function == "part")
        assert 200 < frame.bytes < 250


@MACHINES
def test_a_name_that_a_library_shares_is_refused(machine: Machine, tmp_path: Path) -> None:
    code = (
        "static int inner(int n) { volatile int a[9]; a[n] = n; return a[n]; }\nint run(int n) { return inner(n) + 1; }"
    )
    with pytest.raises(TargetError, match="inner is both in our code and in a library"):
        worst_case(
            machine, tmp_path, f"code.c\nvoid fill(void);\n{code}\nint main(void) {{ fill(); return run(1); }}\n",
            library(machine, LEAF),
        )  # fmt: skip


def test_an_entry_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no function walk"):
        worst_case(ARM, tmp_path, FRAMES, library(ARM, LEAF), entry="walk")


MODEL_C = """
#include "two.h"
#include <string.h>
static __attribute__((noinline)) uint64_t divide(uint64_t a, uint64_t b) { return a / b; }
static __attribute__((noinline)) float scale(float a, double b) { return (float)(a / b); }
static __attribute__((noinline)) void copy(uint8_t *arena, uint32_t n)
{
    volatile uint8_t buffer[BUFFER];
    for (uint32_t i = 0; i < sizeof buffer; i++) buffer[i] = (uint8_t)i;
    memcpy(arena, (const uint8_t *)(uintptr_t)buffer, n);
}
static tin_status run(void *arena, size_t arena_bytes)
{
    uint8_t *bytes = arena;
    volatile uint32_t seed = (uint32_t)arena_bytes;
    copy(bytes, bytes[0] + 4u);
    bytes[0] = (uint8_t)divide((uint64_t)seed << 33, seed + 1u);
    bytes[1] = (uint8_t)scale((float)seed, (double)seed + 3.0);
    memset(bytes + 2, bytes[1], bytes[0] & 7u);
    return TIN_OK;
}
"""


@pytest.mark.parametrize("name", [name for name in targets.names() if targets.load(name).emulators])
@pytest.mark.parametrize("buffer", [200, 4])
def test_no_run_uses_more_stack_than_the_bound(name: str, buffer: int, tmp_path: Path) -> None:
    target = targets.load(name)
    needs.programs(f"{target.toolchain}gcc", *(emulator.command[0] for emulator in target.emulators))
    shutil.copy(FIXTURE / "two.h", tmp_path)
    original = (FIXTURE / "two.c").read_text()
    tables = re.search(r"static const tin_tensor_info inputs.*?(?=#ifdef)", original, re.DOTALL)
    model = re.search(r"const tin_model two_model.*", original, re.DOTALL)
    defines = "".join(re.findall(r"^#define .*\n", original, re.MULTILINE))
    assert tables and model
    (tmp_path / "two.c").write_text(MODEL_C.replace("static t", f"{defines}{tables[0]}\nstatic t", 1) + model[0])
    built = toolchain.build(
        target, [tmp_path / "two.c"], [tmp_path], tmp_path / "two.elf",
        defines=(*toolchain.infer_defines("two"), f"BUFFER={buffer}"), instrument="none",
    )  # fmt: skip
    bound = stack.worst_case(built.output, built.objects.rglob("*.ci"), "run")
    painted = emulate.run(built, [bytes([b]) * 16 for b in (0, 1, 30)]).stack_bytes
    # The bound holds; and it is near, so it is not just a large number.
    assert buffer < painted <= bound.bytes <= painted + 100
    assert bound.path[0].function == "run"
