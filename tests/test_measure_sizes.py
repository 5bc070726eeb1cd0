"""Flash and RAM of a model are what the sections that it reaches add up to."""

from __future__ import annotations

from pathlib import Path

import pytest
from bare_firmware import ARM, MACHINES, Machine

from tinsmith.errors import InputError
from tinsmith.measure import sizes


def section(name: str, size: int, refers: str = "", kind: str = '"ax", %progbits', scope: str = "global") -> str:
    """Assembly of a section with one symbol, `size` bytes, the first of which are the addresses of `refers`."""
    symbol = name.rsplit(".", 1)[-1]
    words = "".join(f" .word {other}\n" for other in refers.split())
    # Aligned code would be padded for the RISC-V linker to relax.
    align = "" if kind.startswith('"ax') else " .balign 4\n"
    return (
        f' .section {name}, {kind}\n{align}\n .{scope} {symbol}\n .type {symbol}, %object\n{symbol}:\n{words}'
        f" .space {size - 4 * len(refers.split())}\n .size {symbol}, {size}\n"
    )  # fmt: skip


CONSTANT, VARIABLE, ZEROED = '"a", %progbits', '"aw", %progbits', '"aw", %nobits'
MODEL = (
    "model.S\n"
    + section(".text.model_run", 120, "weights state start_values kernel helper port_hook steps unwind choice")
    + section(".text.choice", 40, scope="weak")
    + section(".text.unused", 64)
    + section(".rodata.steps", 32, kind=CONSTANT, scope="local")
    + section(".ARM.extab.unwind", 16, kind=CONSTANT)
    + section(".rodata.weights", 1000, kind=CONSTANT)
    + section(".rodata.model_info", 72, "model_run", kind=CONSTANT)
    + section(".bss.state", 48, kind=ZEROED)
    + section(".data.start_values", 20, kind=VARIABLE)
)
KERNEL = (
    "kernel.S\n"
    + section(".text.choice", 88)
    + section(".text.kernel", 260, "table")
    + section(".rodata.table", 512, kind=CONSTANT)
)
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
    assert found.code_bytes == 120 + 260 + 88 + 28 + 36
    assert found.data_bytes == 1000 + 512 + 32 + 20
    assert found.flash_bytes == found.code_bytes + found.data_bytes
    assert found.ram_bytes == 48 + 20
    assert [part.bytes for part in found.parts] == [1000, 512, 260, 120, 88, 48, 36, 32, 28, 20]


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
    assert found.code_bytes == 120 + 260 + 88 + 28 + 36


def test_objects_of_which_nothing_is_kept_take_no_flash(tmp_path: Path) -> None:
    ARM.need()
    ARM.build(tmp_path, MODEL, KERNEL, APPLICATION, "spare.S\n" + section(".text.spare", 52), library=LIBRARY)
    objects = [tmp_path / "model.o", tmp_path / "kernel.o"]
    found = sizes.flash(tmp_path / "firmware.map", [*objects, tmp_path / "spare.o"], ["model_run"])
    assert found == sizes.flash(tmp_path / "firmware.map", objects, ["model_run"])


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
