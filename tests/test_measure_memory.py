"""Flash, RAM and stack of a model are what its sections and frames add up to."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from bare_firmware import ARM, MACHINES, RISCV, Machine

from tinsmith import emulate, targets, toolchain
from tinsmith.errors import InputError, TargetError
from tinsmith.measure import sizes, stack

FIXTURE = Path(__file__).parent / "fixtures" / "emulator"


def section(name: str, size: int, refers: str = "", kind: str = '"ax", %progbits') -> str:
    """Assembly of a section with one symbol, `size` bytes, the first of which are the addresses of `refers`."""
    symbol = name.rsplit(".", 1)[-1]
    words = "".join(f" .word {other}\n" for other in refers.split())
    # Aligned code would be padded for the RISC-V linker to relax.
    align = "" if kind.startswith('"ax') else " .balign 4\n"
    return (
        f' .section {name}, {kind}\n{align}\n .global {symbol}\n .type {symbol}, %object\n{symbol}:\n{words}'
        f" .space {size - 4 * len(refers.split())}\n .size {symbol}, {size}\n"
    )  # fmt: skip


CONSTANT, VARIABLE, ZEROED = '"a", %progbits', '"aw", %progbits', '"aw", %nobits'
MODEL = (
    "model.S\n"
    + section(".text.model_run", 120, "weights state start_values kernel helper port_hook")
    + section(".text.unused", 64)
    + section(".rodata.weights", 1000, kind=CONSTANT)
    + section(".rodata.model_info", 72, "model_run", kind=CONSTANT)
    + section(".bss.state", 48, kind=ZEROED)
    + section(".data.start_values", 20, kind=VARIABLE)
)
KERNEL = "kernel.S\n" + section(".text.kernel", 260, "table") + section(".rodata.table", 512, kind=CONSTANT)
APPLICATION = (
    "app.S\n"
    + section(".text.main", 44, "model_run model_info other helper big")
    + section(".text.port_hook", 600, "behind_the_port")
    + section(".bss.big", 4096, kind=ZEROED)
)
LIBRARY = (
    "helper.S\n" + section(".text.helper", 28, "deeper"),
    "deeper.S\n" + section(".text.deeper", 36) + section(".rodata.constants", 8, kind=CONSTANT),
    "other.S\n" + section(".text.other", 300),
    "behind.S\n" + section(".text.behind_the_port", 400),
)


def model_in_firmware(machine: Machine, folder: Path) -> tuple[Path, list[Path]]:
    machine.build(folder, MODEL, KERNEL, APPLICATION, library=LIBRARY)
    return folder / "firmware.map", [folder / "model.o", folder / "kernel.o"]


@MACHINES
def test_sizes_are_the_sum_of_what_the_model_reaches(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    map_file, objects = model_in_firmware(machine, tmp_path)
    found = sizes.flash(map_file, objects, ["model_run"])
    assert found.code_bytes == 120 + 260 + 28 + 36
    assert found.data_bytes == 1000 + 512 + 20
    assert found.flash_bytes == found.code_bytes + found.data_bytes
    assert found.ram_bytes == 48 + 20
    assert [part.bytes for part in found.parts] == [1000, 512, 260, 120, 48, 36, 28, 20]


@MACHINES
def test_a_description_counts_only_where_it_is_a_root(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    map_file, objects = model_in_firmware(machine, tmp_path)
    bare = sizes.flash(map_file, objects, ["model_run"]).flash_bytes
    assert sizes.flash(map_file, objects, ["model_info"]).flash_bytes == bare + 72
    assert sizes.flash(map_file, objects).flash_bytes == bare + 72


def test_archives_of_our_own_count_as_objects(tmp_path: Path) -> None:
    ARM.need()
    ARM.build(tmp_path, APPLICATION, library=(MODEL, KERNEL, *LIBRARY))
    found = sizes.flash(tmp_path / "firmware.map", [tmp_path / "libhelp.a"], ["model_run"])
    assert found.code_bytes == 120 + 260 + 28 + 36


def test_wrong_names_are_errors(tmp_path: Path) -> None:
    ARM.need()
    map_file, objects = model_in_firmware(ARM, tmp_path)
    with pytest.raises(InputError, match="have no nothing, main that the linker kept"):
        sizes.flash(map_file, objects, ["nothing", "model_run", "main"])
    with pytest.raises(InputError, match="not linked into this firmware: .*absent.o"):
        sizes.flash(map_file, [*objects, tmp_path / "absent.o"])
    with pytest.raises(InputError, match="not a linker map"):
        sizes.flash(tmp_path / "link.ld", objects)
    (tmp_path / "kernel.o").unlink()
    with pytest.raises(InputError, match="kernel.o: named in the linker map"):
        sizes.flash(map_file, objects[:1])


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
# A library function in assembly: it has no call graph, and pushes 24 and then 64 bytes more, but not both at its call.
LEAVES = {
    ARM: "library.S\n .syntax unified\n .thumb\n .text\n .global fill\n .type fill, %function\nfill:\n"
    " push {r4-r8, lr}\n bl inner\n sub sp, #64\n cbz r0, 1f\n nop\n1: add sp, #64\n pop {r4-r8, pc}\n"
    " .size fill, . - fill\n .type inner, %function\ninner:\n str r0, [sp, #-8]!\n ldr r0, [sp], #8\n bx lr\n"
    " .size inner, . - inner\n",
    RISCV: "library.S\n .text\n .global fill\n .type fill, @function\nfill:\n addi sp, sp, -24\n jal inner\n"
    " addi sp, sp, -64\n beqz a0, 1f\n nop\n1: addi sp, sp, 64\n addi sp, sp, 24\n ret\n"
    " .size fill, . - fill\n .type inner, @function\ninner:\n addi sp, sp, -8\n addi sp, sp, 8\n ret\n"
    " .size inner, . - inner\n",
}


@MACHINES
def test_the_deepest_path_is_found(machine: Machine, tmp_path: Path) -> None:
    found = worst_case(machine, tmp_path, FRAMES, LEAVES[machine])
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
def test_library_code_that_is_not_understood_is_refused(machine: Machine, tmp_path: Path) -> None:
    odd = {ARM: "sub sp, sp, r0\n mov sp, r4\n bx lr", RISCV: "sub sp, sp, a0\n add sp, sp, a0\n ret"}
    kind = "%" if machine is ARM else "@"
    library = (
        f"library.S\n{'.syntax unified' if machine is ARM else ''}\n{'.thumb' if machine is ARM else ''}\n .text\n"
        f" .global fill\n .type fill, {kind}function\nfill:\n {odd[machine]}\n .size fill, . - fill\n"
    )
    with pytest.raises(TargetError, match="library function fill moves the stack pointer by a register"):
        worst_case(machine, tmp_path, FRAMES, library)


def test_an_entry_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no function walk"):
        worst_case(ARM, tmp_path, FRAMES, LEAVES[ARM], entry="walk")


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
    Machine.need_programs(f"{target.toolchain}gcc", *(emulator.command[0] for emulator in target.emulators))
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
