"""`tinsmith plan` shows the plan that is compiled, all of it, and its picture tells no lies."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import needs
import numpy as np
import pytest
import small_models
from random_graphs import random_graph
from typer.testing import CliRunner

from tinsmith import images, targets
from tinsmith.cli import app
from tinsmith.emit import plan_picture as drawing
from tinsmith.emit.plan_scale import Box, Scale
from tinsmith.errors import InputError
from tinsmith.passes import lower
from tinsmith.pipeline import compile_model
from tinsmith.plan import Plan, plan
from tinsmith.sizes_text import parse_size, size_text
from tinsmith.timeline import AFTER, Timeline, spans

DIGITS = needs.REPOSITORY / "models" / "digits" / "digits.tflite"
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
RAM = ["--target", "cortex-m4", "--optimize", "ram"]
SVG = "{http://www.w3.org/2000/svg}"
RECTANGLE = re.compile(r"M(\S+) (\S+)H(\S+?)V(\S+?)H\S+?z")


def call(*arguments: object, code: int = 0) -> str:
    """What the command prints; it must end with this exit code."""
    result = CliRunner().invoke(app, ["plan", *map(str, arguments)], env=WIDE)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def digits() -> Plan:
    return compile_model(DIGITS, targets.load("cortex-m4"), optimize="ram").plan


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    """Of random models, layer by layer, row by row, and with their inputs fed."""
    rng = np.random.default_rng(5)
    graphs = [lower(random_graph(rng, int(rng.integers(2, 14)))) for _ in range(7)]
    whole = [plan(g) for g in graphs]
    by_rows = [plan(g, pixels=1) for g in graphs]
    fed = [plan(g, pixels=1, fed=True) for g in graphs if len(g.inputs) == 1]
    assert len(fed) > 2
    return whole + by_rows + fed


def test_text_tells_totals_buffers_segments_and_the_map(digits: Plan) -> None:
    text = call(DIGITS, *RAM)
    line = Timeline.of(digits)
    for word in (f"{digits.arena_bytes:,} bytes", f"{line.peak.nbytes:,} bytes in use", "kind", "from"):
        assert word in text
    kinds = re.findall(r"^ *[\d,]+ +\d+ +\d+ (whole|ring|scratch|state) .*\S", text, re.MULTILINE)
    assert sorted(kinds) == sorted(line.kind(b) for b in digits.buffers)
    assert re.search(r"^nodes? \d+( to \d+)?: .*calls?$", text, re.MULTILINE)
    assert sum(bool(re.match(r" +\d+ - +\d+  [#.]+  ", row)) for row in text.splitlines()) == len(digits.buffers)


def test_json_is_the_whole_plan(digits: Plan) -> None:
    document = json.loads(call(DIGITS, *RAM, "--json"))
    assert document["arena_bytes"] == digits.arena_bytes == max(b["offset"] + b["bytes"] for b in document["buffers"])
    assert document["scratch_bytes"] == digits.scratch_bytes and document["ram_bytes"] is None
    assert document["calls"] == len(digits.runs) == sum(n["calls"] for n in document["nodes"])
    assert {n["index"] for n in document["nodes"]} == set(digits.tasks) == {
        node for s in document["segments"] for node in s["nodes"]
    }  # fmt: skip
    for entry, buffer in zip(document["buffers"], digits.buffers, strict=True):
        assert (entry["name"], entry["offset"], entry["rows"]) == (buffer.name, buffer.offset, buffer.rows)
        assert entry["bytes"] == entry["rows"] * entry["row_bytes"] and entry["rows"] <= entry["rows_in_all"]
        for part, stretch in zip(entry["lifetimes"], buffer.stretches, strict=True):
            bits = sum(1 << moment for first, last in part["moments"] for moment in range(first, last + 1))
            assert bits == stretch.moments < 1 << document["moments"]
    tensors = [name for entry in document["buffers"] for name in entry["tensors"]]
    assert sorted(tensors) == sorted(digits.roots)
    assert any(entry["kind"] == "ring" for entry in document["buffers"])


def test_the_timeline_agrees_with_a_count_of_every_byte(plans: list[Plan]) -> None:
    streamed = 0
    for planned in plans:
        line = Timeline.of(planned)
        assert line.nodes[-1] == AFTER and len(line.nodes) == len(line.steps)
        used = np.zeros((len(line.nodes), planned.arena_bytes), bool)
        for buffer in planned.buffers:
            for part in buffer.stretches:
                for first, last in spans(part.moments):
                    used[first : last + 1, buffer.offset + part.start : buffer.offset + part.end] = True
        assert line.peak.nbytes == used.sum(axis=1).max() == used[line.peak.moment].sum() <= planned.arena_bytes
        shown = np.zeros_like(used)
        for blocks in line.blocks.values():
            for block in blocks:
                assert block.first <= block.last
                shown[block.first : block.last + 1, block.start : block.end] = True
        assert (shown == used).all()
        assert sorted(node for s in line.segments for node in s.nodes) == sorted(planned.tasks)
        assert sum(s.calls for s in line.segments) == len(planned.runs)
        assert [s.first for s in line.segments[1:]] == [s.last + 1 for s in line.segments[:-1]]
        streamed += any(s.by_rows for s in line.segments)
    assert streamed > 2


def test_rows_of_a_ring_are_single_blocks(digits: Plan) -> None:
    line = Timeline.of(digits)
    rings = [b for b in digits.buffers if line.kind(b) == "ring"]
    for ring in rings:
        blocks = line.blocks[ring.name]
        assert len(blocks) >= line.rows_in_all(ring), "a row is missing"
        assert all(block.end - block.start == ring.row_bytes for block in blocks)
    assert rings


def groups(svg: str) -> dict[int, list[tuple[float, ...]]]:
    """Rectangles (left, upper, right, lower) of each buffer in the picture."""
    found = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if "data-buffer" in group.attrib:
            path = group.find(f"{SVG}path")
            assert path is not None
            rectangles = [tuple(map(float, r)) for r in RECTANGLE.findall(path.attrib["d"])]
            found[int(group.attrib["data-buffer"])] = rectangles
    return found


def test_the_picture_shows_each_byte_when_it_is_needed_and_no_other(digits: Plan) -> None:
    line = Timeline.of(digits)
    svg = drawing.plan_picture(line, "digits")
    box = Box(drawing.LEFT, drawing.TOP, drawing.WIDTH - drawing.LEFT - drawing.RIGHT,
              drawing.HEIGHT - drawing.TOP - drawing.BOTTOM)  # fmt: skip
    scale = Scale.of(line, box, drawing.top_of([digits.arena_bytes]), drawing.LABEL_GAP)
    found = groups(svg)
    assert sorted(found) == list(range(len(digits.buffers)))
    for index, rectangles in found.items():
        buffer = digits.buffers[index]
        for part in buffer.stretches:
            middle = (part.start + part.end) / 2
            y = scale.y(buffer.offset + middle)
            for moment in range(len(line.nodes)):
                x = (scale.x(moment) + scale.x(moment + 1)) / 2
                shown = any(left <= x <= right and upper <= y <= lower for left, upper, right, lower in rectangles)
                here = [p for p in buffer.stretches if p.start <= middle < p.end]  # rows of a table may overlap in turn
                assert shown == any(p.moments >> moment & 1 for p in here), (buffer.name, moment)


def test_blocks_lie_within_the_arena_and_the_time(plans: list[Plan]) -> None:
    for planned in plans:
        svg = drawing.plan_picture(Timeline.of(planned), "x", planned.arena_bytes + 100)
        bottom, right = drawing.HEIGHT - drawing.BOTTOM, drawing.WIDTH - drawing.RIGHT
        (arena,) = (p.attrib["d"] for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("class") == "arena")
        top = float(arena.split()[1].split("H")[0])
        found = groups(svg)
        assert sorted(found) == list(range(len(planned.buffers)))
        for x0, y0, x1, y1 in (r for rectangles in found.values() for r in rectangles):
            assert drawing.LEFT <= x0 < x1 <= right and top <= y0 < y1 <= bottom


def test_names_from_a_file_cannot_break_the_picture() -> None:
    name = 'a<b & "c"</text>\x01\u2028\ud800'
    tensors = [small_models.tensor(n, 1, 8, 8, 4) for n in (name, "y")]
    node = small_models.node("RELU", "x", "y")
    graph = small_models.graph(tensors, type(node)("RELU", name, (name,), ("y",)), inputs="x")
    planned = plan(type(graph)(name, graph.tensors, graph.nodes, (name,), ("y",)))
    svg = drawing.plan_picture(Timeline.of(planned), name)
    titles = [t.text or "" for t in ElementTree.fromstring(svg.encode("utf-8")).iter(f"{SVG}title")]
    assert titles[0] == 'a<b & "c"</text>???' and titles[0] in titles[1]


@pytest.mark.slow
def test_a_graph_of_500_nodes_makes_a_picture_of_bearable_size() -> None:
    planned = plan(lower(random_graph(np.random.default_rng(3), 500)))
    svg = drawing.plan_picture(Timeline.of(planned), "many")
    assert len(planned.tasks) > 400 and len(svg) < 300_000
    assert sorted(groups(svg)) == list(range(len(planned.buffers)))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    texts = {(call(DIGITS, *RAM, "--json"), call(DIGITS, *RAM)) for _ in range(2)}
    assert len(texts) == 1
    for name in ("a.svg", "folder/b.SVG"):
        assert name in call(DIGITS, *RAM, "--out", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "folder" / "b.SVG").read_bytes()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.svg", "b.SVG", "folder"]


def test_a_budget_is_a_line_unless_it_is_far_away(digits: Plan) -> None:
    for budget, lines in ((digits.arena_bytes + 10, 1), (digits.arena_bytes // 2, 1), (digits.arena_bytes * 50, 0)):
        root = ElementTree.fromstring(drawing.plan_picture(Timeline.of(digits), "x", budget))
        assert sum(p.get("class") == "budget" for p in root.iter(f"{SVG}path")) == lines
        texts = [t.text or "" for t in root.iter(f"{SVG}text")]
        assert any(t.startswith(f"{size_text(budget)} of RAM") for t in texts)


def test_a_budget_plans_as_compile_does(digits: Plan) -> None:
    fitting = json.loads(call(DIGITS, "--target", "cortex-m4", "--ram", digits.arena_bytes, "--json"))
    compiled = compile_model(DIGITS, targets.load("cortex-m4"), ram=digits.arena_bytes).plan
    assert fitting["fits"] and fitting["arena_bytes"] == compiled.arena_bytes <= digits.arena_bytes
    assert fitting["ram_bytes"] == digits.arena_bytes
    left = digits.arena_bytes - compiled.arena_bytes
    assert f"{left:,} bytes left" in call(DIGITS, "--target", "cortex-m4", "--ram", digits.arena_bytes)
    assert [b["offset"] for b in fitting["buffers"]] == [b.offset for b in compiled.buffers]


def test_a_missed_budget_is_shown_and_ends_with_2(digits: Plan, tmp_path: Path) -> None:
    least = json.loads(call(DIGITS, "--target", "cortex-m4", "--ram", 1, "--json", code=2))["arena_bytes"]
    assert least <= digits.arena_bytes, "a budget goes at least as far as the mode"
    where = ["--target", "cortex-m4", "--ram", least - 1, "--out", tmp_path / "a.svg"]
    assert "exceeded by 1 bytes" in call(DIGITS, *where, code=2)
    assert (tmp_path / "a.svg").exists()
    document = json.loads(call(DIGITS, *where, "--json", code=2))
    assert not document["fits"] and document["arena_bytes"] == least
    assert json.loads(call(DIGITS, "--target", "cortex-m4", "--ram", least, "--json"))["fits"]


def refusal(tmp_path: Path, *arguments: object) -> str:
    """The one line of an error; nothing may have been written."""
    before = sorted(tmp_path.rglob("*"))
    (line,) = call(DIGITS, *arguments, code=1).strip().splitlines()
    document = json.loads(call(DIGITS, *arguments, "--json", code=1))
    assert document["error"] in line and sorted(tmp_path.rglob("*")) == before
    return line


@pytest.mark.parametrize("name", ["plan.pdf", "plan", "plan.svg.txt"])
def test_an_unknown_suffix_is_refused(name: str, tmp_path: Path) -> None:
    line = refusal(tmp_path, "--out", tmp_path / name)
    assert name in line and ".svg or .png" in line


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken.svg").mkdir()
    assert "cannot write" in refusal(tmp_path, "--out", tmp_path / "file" / "plan.svg")
    assert "cannot write" in refusal(tmp_path, "--out", tmp_path / "taken.svg")


def test_png_without_its_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    assert "pip install 'tinsmith[png]'" in refusal(tmp_path, "--out", tmp_path / "plan.png")


def test_png_is_what_the_package_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = ModuleType("cairosvg")
    package.svg2png = lambda bytestring, scale: b"drawn " + bytestring[:4]
    monkeypatch.setitem(sys.modules, "cairosvg", package)
    call(DIGITS, "--out", tmp_path / "plan.png")
    assert (tmp_path / "plan.png").read_bytes() == b"drawn <svg"


def test_the_real_package_draws_a_png(tmp_path: Path) -> None:
    try:
        importlib.import_module("cairosvg")
    except (ImportError, OSError):
        pytest.skip("cairosvg, or the library cairo, is not installed")
    call(DIGITS, *RAM, "--out", tmp_path / "plan.png")
    data = (tmp_path / "plan.png").read_bytes()
    size = tuple(int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert data.startswith(b"\x89PNG") and size == (drawing.WIDTH * images.DENSITY, drawing.HEIGHT * images.DENSITY)


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [("16384", 16384), ("16K", 16384), ("16 KiB", 16384), ("16kb", 16384), ("1.5K", 1536), ("2M", 2097152), ("7B", 7)],
)
def test_sizes_are_read(text: str, nbytes: int) -> None:
    assert parse_size(text) == nbytes == parse_size(size_text(nbytes).replace(",", "").replace("bytes", ""))


@pytest.mark.parametrize("text", ["", "K", "-1", "0", "0K", "16X", "1.0001K", "1e3", "16 K B", "٣K", "9" * 40])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no size of memory"):
        parse_size(text)


def test_a_bad_budget_is_one_line(tmp_path: Path) -> None:
    assert "'16X' is no size" in refusal(tmp_path, "--ram", "16X", "--out", tmp_path / "plan.svg")


@pytest.mark.slow
def test_the_published_picture_is_fresh() -> None:
    needs.zoo()
    sys.path.append(str(needs.REPOSITORY / "bench"))
    pictures = importlib.import_module("plan_pictures")
    for name, text in pictures.drawn().items():
        published = (needs.REPOSITORY / "docs" / "images" / name).read_text(encoding="utf-8")
        assert published == text, "run `make charts`"
