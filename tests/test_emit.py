"""Generated C is deterministic, compiles without warnings everywhere, and no name can break it."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import needs
import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import Builder, random_graph

from tinsmith import ops, targets, toolchain
from tinsmith.emit import linked
from tinsmith.emit.linked import API_VERSION
from tinsmith.emit.render import c_float, c_integer, c_string, identifier, safe_comment
from tinsmith.graph import Graph
from tinsmith.host_kernels import Arena
from tinsmith.passes import lower
from tinsmith.plan import plan

CORE = toolchain.FIRMWARE / "core"
HOSTILE = [
    *('"', "*/", "/*", "a\nb", "??/", "??/\n", "\\", "\\\n", "*\\", "naïve", "\u96ea", "", "%s%n", "int", "//"),
    *("#error", "{{ x }}", "{% raw %}", "*??//", "\x00\x1b[31m", "'", "</a>", "\u202e", "x" * 300),
]


def one_of_each(seed: int = 1) -> Graph:
    """A model with floats at its ends, several inputs and outputs, a constant input and a view."""
    b = Builder(np.random.default_rng(seed))
    x, y = b.input(1, 6, 5, 3), b.input(1, 6, 5, 3)
    z = b.simple("ADD", b.depthwise(b.conv(x, 3, 3), 3), y)
    z = b.simple("CONCATENATION", z, y, b.constant(np.full((1, 6, 5, 1), 7, np.int8), b.tensors[x].quant), axis=3)
    real = b.add("DEQUANTIZE", b.attrs("DEQUANTIZE"), [b.simple("MAX_POOL_2D", z)], dtype=np.dtype("f4"), quant=None)
    return lower(b.graph(b.fully_connected(b.reshape(z, 210), 4), real))


def write(files: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def compile_c(folder: Path, *command: str) -> None:
    """Compiles what the command names; fails the test with what the compiler said."""
    full = [*command, f"-I{CORE}", f"-I{folder}"]
    done = subprocess.run(full, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, f"{full}\n{done.stderr}"


def check_c(files: Mapping[str, str], folder: Path, compiler: str = "gcc") -> None:
    write(files, folder)
    sources = [name for name in files if name.endswith(".c")]
    compile_c(folder, compiler, *toolchain.WARNINGS, "-O2", "-fsyntax-only", *sources)


SCRIPT = """
import hashlib, numpy as np
from random_graphs import random_graph
from tinsmith.emit import core_header, linked
from tinsmith.host_kernels import Arena
from tinsmith.passes import lower
from tinsmith.plan import plan
rng, digest = np.random.default_rng(9), hashlib.sha256(core_header().encode())
for i in range(6):
    for name, text in linked(plan(lower(random_graph(rng, 8))), f"g{i}").items():
        digest.update(f"{name}\\n{text}".encode())
print(digest.hexdigest())
"""


def test_the_same_model_gives_the_same_bytes() -> None:
    found = set()
    for seed in ("1", "2", "77"):
        paths = [str(Path(__file__).parent), str(Path(toolchain.__file__).parents[1])]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-c", SCRIPT]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("specialised", [False, True])
def test_it_compiles_without_warnings(compiler: str, specialised: bool, tmp_path: Path) -> None:
    needs.programs(compiler)
    rng = np.random.default_rng(8)
    graphs = [one_of_each(), *(lower(random_graph(rng, 10)) for _ in range(5))]
    for i, graph in enumerate(graphs):
        check_c(linked(plan(graph), f"g{i}", specialised), tmp_path, compiler)


@pytest.mark.parametrize("standard", ["c++11", "c++17", "c++20"])
def test_headers_are_c_plus_plus_too(standard: str, tmp_path: Path) -> None:
    needs.programs("g++")
    write(linked(plan(one_of_each()), "net"), tmp_path)
    (tmp_path / "user.cpp").write_text(
        '#include "net.h"\n#include "tin_ops.h"\n#include "tin_math.h"\n'
        "static TIN_ARENA(arena, NET_ARENA_BYTES);\n"
        "int main() { net_t net; if (net_open(&net, arena, sizeof arena) != TIN_OK) return 1;\n"
        "net_input0(&net)[0] = 1; net_run(&net); \n"
        "return static_cast<int>(net_output1(&net)[0]) + net_output0(&net)[0]; }\n"
    )
    compile_c(
        tmp_path, "g++", f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "user.cpp"
    )


def hostile(graph: Graph, text: str) -> Graph:
    """The graph with every name made of hostile text, and a number to keep names apart."""
    new = {name: f"{text}{i}{text}" for i, name in enumerate(graph.tensors)}
    tensors = {new[name]: replace(t, name=new[name]) for name, t in graph.tensors.items()}
    nodes = tuple(
        replace(
            n,
            name=text,
            inputs=tuple(None if i is None else new[i] for i in n.inputs),
            outputs=tuple(new[o] for o in n.outputs),
        )
        for n in graph.nodes
    )
    inputs, outputs = tuple(new[n] for n in graph.inputs), tuple(new[n] for n in graph.outputs)
    return replace(graph, name=text, tensors=tensors, nodes=nodes, inputs=inputs, outputs=outputs)


def code(text: str) -> str:
    """C without comments and strings."""
    return re.sub(r'/\*.*?\*/|"[^"\n]*"', "", text, flags=re.S)


def test_names_from_files_cannot_break_the_c(tmp_path: Path) -> None:
    needs.programs("gcc")
    graph = one_of_each()
    plain = linked(plan(graph), "net")
    for i, text in enumerate(HOSTILE):
        files = linked(plan(hostile(graph, text)), "net")
        assert code(files["net.c"]) == code(plain["net.c"]) and code(files["net.h"]) == code(plain["net.h"])
        assert all(c == "\n" or 32 <= ord(c) < 127 for name in ("net.c", "net.h") for c in files[name])
        assert json.loads(files["net.json"])["source"] == text
        if i % 4 == 0:
            check_c(files, tmp_path / str(i))
    everything = linked(plan(hostile(graph, "".join(HOSTILE))), "net")
    check_c(everything, tmp_path / "all")
    compile_c(
        tmp_path / "all", "gcc", "-std=c99", "-trigraphs", "-Wall", "-Wtrigraphs", "-Werror", "-fsyntax-only", "net.c"
    )


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_text_is_harmless_in_comments_and_strings(text: str) -> None:
    comment, string = safe_comment(text), c_string(text)
    assert not any(bad in comment for bad in ("*/", "/*", "\n", "\r", "\\", "??"))
    assert string.startswith('"') and string.endswith('"') and '"' not in string[1:-1] and "\\" not in string
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", identifier(text))


NAMES = (
    "int class main tin tin_add int8 uint32 size ptrdiff intptr max_align time div 123 \u00e9 a-b/c.tflite ??? node0 "
    "constant0 inputs model arena run_nodes open_and_run NULL struct _x wchar tin_model"
).split()


def test_any_file_name_gives_a_usable_prefix(tmp_path: Path) -> None:
    needs.programs("gcc")
    graph = one_of_each()
    for name in NAMES:
        check_c(linked(plan(graph), identifier(name)), tmp_path / identifier(name))


def defines(header: str) -> dict[str, str]:
    return dict(re.findall(r"^#define (\w+) (\S+)$", header, re.M))


def test_the_report_agrees_with_the_header() -> None:
    rng = np.random.default_rng(12)
    for graph in (one_of_each(), *(lower(random_graph(rng, 8)) for _ in range(10))):
        planned = plan(graph)
        files = linked(planned, "net")
        report, macros = json.loads(files["net.json"]), defines(files["net.h"])
        assert report["arena_bytes"] == planned.arena_bytes == int(macros["NET_ARENA_BYTES"])
        for kind, tensors in (("INPUT", report["inputs"]), ("OUTPUT", report["outputs"])):
            for i, tensor in enumerate(tensors):
                prefix = f"NET_{kind}{i if len(tensors) > 1 else ''}"
                assert tensor["offset"] == int(macros[f"{prefix}_OFFSET"])
                assert tensor["offset"] + tensor["bytes"] <= report["arena_bytes"]
                assert np.prod(tensor["shape"]) == int(macros[f"{prefix}_ELEMENTS"])
                if tensor["scale"] is not None:
                    assert np.float32(tensor["scale"]) == np.float32(macros[f"{prefix}_SCALE"].removesuffix("f"))
                    assert tensor["zero_point"] == int(macros[f"{prefix}_ZERO_POINT"])
        calls = re.findall(r"^    (tin_\w+)\(&node\d+, arena, 0, (\d+)\);", files["net.c"], re.M)
        assert [layer["kernel"] for layer in report["layers"]] == [kernel for kernel, _ in calls]
        assert report["constant_bytes"] == constant_bytes(files["net.c"])
        assert report["name"] == "net" and len(report["inputs"]) == len(graph.inputs)


def constant_bytes(text: str) -> int:
    """Bytes of the arrays in a generated C file, by their declarations and by counting their values."""
    total = 0
    arrays = re.findall(r"static const (\w+) constant\d+\[(\d+)\][^=]*= \{\n(.*?)\n\};", text, re.S)
    for ctype, count, values in arrays:
        assert values.count(",") == int(count)
        total += {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "int32_t": 4, "uint32_t": 4, "float": 4}[ctype] * int(count)
    return total


def test_another_version_of_the_core_is_refused(tmp_path: Path) -> None:
    needs.programs("gcc")
    shutil.copytree(CORE, tmp_path / "core")
    tin = tmp_path / "core" / "tin.h"
    tin.write_text(tin.read_text().replace(f"VERSION {API_VERSION}", f"VERSION {API_VERSION + 1}"))
    write(linked(plan(one_of_each()), "net"), tmp_path)
    command = ["gcc", "-std=c99", "-fsyntax-only", f"-I{tmp_path}/core", f"-I{tmp_path}", str(tmp_path / "net.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    refusal = f"net.h was generated for version {API_VERSION} of the Tinsmith core; generate it again"
    assert done.returncode and refusal in done.stderr


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_floats_read_back_as_they_were(value: float) -> None:
    text = c_float(value)
    assert re.fullmatch(r"-?\d+\.\d+e[+-]\d+f", text)
    assert np.float32(text.removesuffix("f")).tobytes() == np.float32(value).tobytes()


def test_integers_are_spelled_so_that_c_takes_them(tmp_path: Path) -> None:
    needs.programs("gcc")
    values = [-(2**31), -(2**31) + 1, -1, 0, 2**31 - 1]
    listed = ", ".join(c_integer(v) for v in values)
    checks = "\n".join(f"typedef char check{i}[({c_integer(v)}) == {v}LL ? 1 : -1];" for i, v in enumerate(values))
    check_c(
        {"i.c": f"#include <stdint.h>\nextern const int32_t x[5];\nconst int32_t x[5] = {{{listed}}};\n{checks}\n"},
        tmp_path,
    )


def test_emitted_c_computes_what_numpy_does(tmp_path: Path) -> None:
    """Built for this computer as `tinsmith build` does, once with kernels of its own and once specialised."""
    graph = one_of_each()
    planned = plan(graph)
    fed = [parity.sample(graph, graph[name], "random", np.random.default_rng(3)) for name in graph.inputs]
    for specialised in (False, True):
        folder = tmp_path / str(specialised)
        write(linked(planned, "net", specialised), folder)
        kernels = [] if specialised else sorted((CORE / "ops").glob("*.c"))
        sources, output = [folder / "net.c", *kernels], folder / "net.so"
        built = toolchain.build(targets.load("host"), sources, [folder], output, kind="shared", instrument="none")
        assert parity.equal(run_library(built.output, graph, fed), parity.numpy_outputs(graph, fed))


def run_library(library: Path, graph: Graph, fed: parity.Inputs) -> parity.Inputs:
    """Runs net_model.run of a library through the offsets that the plan says."""
    planned = plan(graph)
    arena = Arena(planned.arena_bytes)
    for name, value in zip(graph.inputs, fed, strict=True):
        arena.put(planned.offset(name), value)
    loaded = ctypes.CDLL(str(library))
    model = ctypes.c_void_p()
    assert (
        loaded.net_open(ctypes.byref(model), ctypes.c_void_p(arena.bytes.ctypes.data), ctypes.c_size_t(arena.nbytes))
        == 0
    )
    loaded.net_run(ctypes.byref(model))
    arena.check()
    return [arena.get(planned.offset(name), graph[name]) for name in graph.outputs]


def test_every_kernel_is_declared_once() -> None:
    text = (CORE / "tin_ops.h").read_text()
    for op in parity.KERNEL_OPS:
        assert len(re.findall(rf"\bvoid {op.kernel}\(", text)) == 1
        assert ops.find(op.name).sources == (f"ops/{op.name.lower()}.c",)
