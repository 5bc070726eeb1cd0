"""What a firmware executes is counted, not guessed: each figure is compared with one known beforehand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import needs
import pytest
from bare_firmware import ARM, MACHINES, NAMES, RISCV, Machine, assembly, loops

from tinsmith import emulate, targets, toolchain
from tinsmith.errors import TargetError
from tinsmith.measure import retired
from tinsmith.measure.cycles import estimate
from tinsmith.measure.elf import functions
from tinsmith.measure.retired import Block, Counter, Counts


@MACHINES
def test_counts_are_exactly_those_of_the_source(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    rounds = (100, 1, 250)
    (counts,) = machine.count(machine.build(tmp_path, assembly(machine, loops(*rounds))))
    # Load, two instructions a round, and the two that call the hook for the next node.
    assert counts.nodes == tuple(1 + 2 * n + 2 for n in rounds)
    # Before: nop and a call of the hook; after: two nops and the call of tin_count_end.
    assert counts.overhead == 3 + 3
    assert counts.total == sum(counts.nodes) + 6


@MACHINES
def test_branches_taken_are_counted_per_block(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    elf = machine.build(tmp_path, assembly(machine, loops(100)))
    (counts,) = machine.count(elf)
    # The loop jumps back 99 times; the call of the hook behind it is taken once.
    assert sum(block.taken for block in counts.per_node[0]) == 99 + 1
    start = functions(elf)["main"].address
    assert all(start < block.address < start + 100 for block in counts.blocks)
    assert retired.by_function(elf, counts.blocks) == {"main": counts.total}


@MACHINES
def test_regions_and_runs_agree(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    elf = machine.build(tmp_path, assembly(machine, loops(7, 8, repeat=3)))
    first, again = machine.count(elf), machine.count(elf)
    assert first == again
    assert [region.nodes for region in first] == [(17, 19)] * 3


@MACHINES
def test_code_without_nodes_counts_as_overhead(machine: Machine, tmp_path: Path) -> None:
    machine.need()
    body = "main:\n {save}\n {call} tin_count_begin\n nop\n {call} tin_count_end\n nop\n {leave}\n"
    (counts,) = machine.count(machine.build(tmp_path, assembly(machine, body)))
    assert (counts.total, counts.nodes, counts.overhead) == (2, (), 2)


def test_instructions_that_are_skipped_count(tmp_path: Path) -> None:
    ARM.need()
    skipped = "cmp r0, r0\n ittt ne\n addne r0, #1\n addne r0, #1\n addne r0, #1\n"
    body = "main:\n {save}\n {call} tin_count_begin\n" + skipped + "{call} tin_count_end\n {leave}\n"
    (counts,) = ARM.count(ARM.build(tmp_path, assembly(ARM, body)))
    assert counts.total == 6


@MACHINES
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "main:\n {save}\n {call} tin_count_begin\n {leave}\n {call} tin_count_end\n",
            "stopped between tin_count_begin and tin_count_end",
        ),
        (loops(1).replace("{leave}", "{call} tin_count_begin\n {call} tin_count_begin\n {leave}"), "was called again"),
    ],
)
def test_regions_that_do_not_match_are_errors(machine: Machine, body: str, message: str, tmp_path: Path) -> None:
    machine.need()
    elf = machine.build(tmp_path, assembly(machine, body))
    with pytest.raises(TargetError, match=message) as error:
        machine.count(elf)
    assert str(elf) in str(error.value)


@MACHINES
@pytest.mark.parametrize("marker", ["tin_count_begin", "tin_on_node"])
def test_a_marker_that_calls_is_an_error(machine: Machine, marker: str, tmp_path: Path) -> None:
    machine.need()
    calling = f'void helper(void);\nvoid {marker}(int i) {{ (void)i; helper(); __asm__ volatile(""); }}\n'
    helper = 'void helper(void) { __asm__ volatile("nop"); }\n'
    hooks = [name for name in NAMES if name != marker]
    elf = machine.build(
        tmp_path, assembly(machine, loops(3), hooks), "calling.c\n" + calling, "helper.c\n" + helper, flags=("-O1",)
    )
    with pytest.raises(TargetError, match=f"{marker} must neither call nor loop"):
        machine.count(elf)


def test_firmware_without_markers_is_an_error(tmp_path: Path) -> None:
    ARM.need()
    elf = ARM.build(tmp_path, "main.c\nint main(void) { return 0; }\n")
    with pytest.raises(TargetError, match="needs a function tin_count_begin"):
        Counter(elf)


def test_a_run_that_was_killed_leaves_no_counts(tmp_path: Path) -> None:
    ARM.need()
    elf = ARM.build(tmp_path, assembly(ARM, "main:\n {save}\n {call} tin_count_begin\n b .\n {call} tin_count_end\n"))
    with Counter(elf) as counter:
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run([*ARM.emulator, *counter.qemu_args, "-kernel", str(elf)], timeout=2, check=False)
        with pytest.raises(TargetError, match="left no instruction counts"):
            counter.regions()


def test_damaged_counts_are_refused() -> None:
    good = "tinsmith-retired 1\nregion 0\nbucket\n10 4 2 3 1\nend 6\nregions 1\n"
    assert retired.parse(good) == [Counts((Block(0x10, 4, 2, 3, 1),), (), ())]
    sums = (good.replace("end 6", "end 7"), good.replace("regions 1", "regions 2"))
    for wrong in (good.replace(" 1\n", " 2\n", 1), *sums, good.removesuffix("regions 1\n"), ""):
        with pytest.raises(TargetError, match="damaged"):
            retired.parse(wrong)


# One instruction of each kind, with the cycles that the Cortex-M4 manual states, and how often it jumps.
TIMED = [
    ("add r0, r1, r2", 1),
    ("mul r0, r1, r2", 1),
    ("smlad r0, r1, r2, r3", 1),
    ("ldr r0, [sp]", 2),
    ("ldrsb.w r0, [sp]\n ldr r1, [sp]\n ldrh.w r2, [sp]", 2 + 1 + 1),
    ("str r0, [sp, #-8]", 1),
    ("str r0, [sp, #-8]\n ldr r1, [sp, #-8]\n add r0, r1\n ldr r1, [sp]", 1 + 1 + 1 + 2),
    ("ldrd r0, r1, [sp]", 3),
    ("ldrd r0, r1, [sp]\n ldr r2, [sp]\n ldrd r0, r1, [sp]", 3 + 2 + 3),
    ("mov r0, #3\n 7: subs r0, #1\n bne 7b", 1 + 3 * 2 + 2 * 2),
    ("push {r0-r3, r6}\n add sp, #20", 1 + 5 + 1),
    ("ldmia sp, {r0, r1}", 1 + 2),
    ("vldr s0, [sp]", 2),
    ("vldr d0, [sp]", 3),
    ("vpush {d8-d9}\n vpop {d8-d9}", 5 + 5),
    ("udiv r0, r1, r1", 7),
    ("vdiv.f32 s0, s1, s1", 14),
    ("vfma.f32 s0, s1, s1", 3),
    ("vadd.f32 s0, s1, s1", 1),
    ("b 7f\n 7:", 1),  # a jump to the next instruction is not seen as taken
    ("b 7f\n nop\n 7:", 1 + 2),
    ("cmp r0, r0\n bne 7f\n 7:", 2),
]


@pytest.mark.parametrize(("code", "expected"), TIMED, ids=[code.split("\n")[0] for code, _ in TIMED])
def test_estimated_cycles_follow_the_manual(code: str, expected: int, tmp_path: Path) -> None:
    ARM.need()
    enable = " ldr r1, =0xe000ed88\n ldr r0, =0xf00000\n str r0, [r1]\n dsb\n isb\n"
    node = "{load}0\n {call} tin_on_node\n"
    body = (
        "main:\n {save}\n .fpu fpv4-sp-d16\n" + enable + "{call} tin_count_begin\n nop\n" + node
        + code.replace("{", "{{").replace("}", "}}") + "\n" + node + "{call} tin_count_end\n {leave}\n .ltorg\n"
    )  # fmt: skip
    elf = ARM.build(tmp_path, assembly(ARM, body))
    (counts,) = ARM.count(elf)
    estimated = estimate(elf, counts)
    call = 1 + 1 + 2
    assert estimated.nodes == (expected + call,)
    assert estimated.overhead == 1 + call + (1 + 2)
    assert estimated.total == sum(estimated.nodes) + estimated.overhead


def test_cycles_of_other_cores_are_not_estimated(tmp_path: Path) -> None:
    RISCV.need()
    elf = RISCV.build(tmp_path, "main.c\nint main(void) { return 0; }\n")
    with pytest.raises(TargetError, match="Cortex-M4 .* EM_RISCV"):
        estimate(elf, Counts((), (), ()))


FIXTURE = Path(__file__).parent / "fixtures" / "emulator"


@pytest.mark.parametrize("name", [name for name in targets.names() if targets.load(name).emulators])
def test_every_run_of_a_model_is_a_region_with_its_nodes(name: str, tmp_path: Path) -> None:
    target = targets.load(name)
    needs.programs(f"{target.toolchain}gcc", *(emulator.command[0] for emulator in target.emulators), "cc")
    totals = {}
    for instrument in ("count", "none"):
        built = toolchain.build(
            target, [FIXTURE / "two.c"], [FIXTURE], tmp_path / f"{instrument}.elf",
            defines=toolchain.infer_defines("two"), instrument=instrument,
        )  # fmt: skip
        with Counter(built.output) as counter:
            emulate.run(built, [bytes(16), bytes(16), bytes(range(16))], qemu_args=counter.qemu_args)
            regions = counter.regions()
        assert len(regions) == 3
        assert regions[0] == regions[1]
        assert [len(region.nodes) for region in regions] == [2 if instrument == "count" else 0] * 3
        # Twelve elements in each node, and more than two instructions an element.
        assert all(count > 24 for count in regions[2].nodes)
        totals[instrument] = regions[0].total
    # Three calls of the hook, each with its argument.
    assert 0 < totals["count"] - totals["none"] < 30
