"""A Graph that is saved is a .tflite file: another runtime computes with it what the graph says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite

from tinsmith.errors import ModelError, Unsupported
from tinsmith.graph import Array, Graph, Node, Quant, Tensor
from tinsmith.load.tflite import load_file
from tinsmith.save.tflite import save_tflite

RNG_SEED = 20240


@dataclass(frozen=True)
class Conv:
    padding: str = "SAME"
    stride_w: int = 1
    stride_h: int = 1
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    fused_activation_function: str = "NONE"
    pads: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Depthwise(Conv):
    depth_multiplier: int = 1


@dataclass(frozen=True)
class Fused:
    fused_activation_function: str = "NONE"


@dataclass(frozen=True)
class Reshape:
    new_shape: tuple[int, ...]


@dataclass(frozen=True)
class Softmax:
    beta: float = 1.0


@dataclass(frozen=True)
class Pool:
    padding: str
    stride_w: int
    stride_h: int
    filter_width: int
    filter_height: int
    fused_activation_function: str = "NONE"


@dataclass(frozen=True)
class Reducer:
    keep_dims: bool = False


def tensor(name: str, like: Array | tuple[int, ...], dtype: Any = np.int8, scale: float = 0.0, zero: int = 0) -> Tensor:
    """A constant if `like` is an array, an activation if it is a shape."""
    quant = Quant((float(np.float32(scale)),), (zero,)) if scale else None
    if isinstance(like, tuple):
        return Tensor(name, like, np.dtype(dtype), quant)
    return Tensor(name, like.shape, like.dtype, quant, like)


def one_op(op: str, attrs: Any, inputs: list[Tensor], output: Tensor) -> Graph:
    node = Node(op, f"the_{op.lower()}", tuple(t.name for t in inputs), (output.name,), attrs)
    fed = tuple(t.name for t in inputs if t.data is None)
    return Graph("main", {t.name: t for t in [*inputs, output]}, (node,), fed, (output.name,), "a test")


def run(model: Graph | bytes, *inputs: Array) -> Array:
    from tflite_micro.python.tflite_micro import runtime

    blob = model if isinstance(model, bytes) else save_tflite(model)
    interpreter = runtime.Interpreter.from_bytes(blob, arena_size=1 << 20)
    for i, value in enumerate(inputs):
        interpreter.set_input(value, i)
    interpreter.invoke()
    output: Array = interpreter.get_output(0)
    return output


def rng() -> np.random.Generator:
    return np.random.default_rng(RNG_SEED)


def int8(shape: tuple[int, ...], low: int = -128, high: int = 127) -> Array:
    return rng().integers(low, high, shape, np.int8, endpoint=True)


@pytest.mark.parametrize("activation, floor", [("NONE", -128), ("RELU", 0)])
def test_conv_2d(activation: str, floor: int) -> None:
    """Scales 1 x 1 -> 1: the output is the saturated sum, no rounding anywhere."""
    x, w = int8((1, 6, 5, 4), -3, 3), rng().integers(-2, 2, (8, 3, 3, 4), np.int8, endpoint=True)
    bias = rng().integers(-20, 20, 8, np.int32)
    unit = Quant((1.0,) * 8, (0,) * 8)
    weights = Tensor("w", w.shape, w.dtype, unit, w)
    biases = Tensor("b", bias.shape, bias.dtype, unit, bias)
    attrs = Conv(padding="VALID", stride_w=2, fused_activation_function=activation)
    graph = one_op(
        "CONV_2D", attrs, [tensor("x", x.shape, scale=1.0), weights, biases], tensor("y", (1, 4, 2, 8), scale=1.0)
    )
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(int), (3, 3), (1, 2))[:, :, ::2]
    expected = np.einsum("nhwcij,oijc->nhwo", windows, w.astype(int)) + bias
    np.testing.assert_array_equal(run(graph, x), np.clip(expected, floor, 127))


def test_depthwise_conv_2d() -> None:
    x, w = int8((1, 4, 4, 6), -5, 5), rng().integers(-3, 3, (1, 2, 2, 6), np.int8, endpoint=True)
    unit = Quant((1.0,) * 6, (0,) * 6, axis=3)
    weights = Tensor("w", w.shape, w.dtype, unit, w)
    bias = Tensor("b", (6,), np.dtype(np.int32), Quant((1.0,) * 6, (0,) * 6), np.arange(6, dtype=np.int32))
    inputs = [tensor("x", x.shape, scale=1.0), weights, bias]
    graph = one_op("DEPTHWISE_CONV_2D", Depthwise(padding="VALID"), inputs, tensor("y", (1, 3, 3, 6), scale=1.0))
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(int), (2, 2), (1, 2))
    expected = np.einsum("nhwcij,ijc->nhwc", windows, w[0].astype(int)) + np.arange(6)
    np.testing.assert_array_equal(run(graph, x), np.clip(expected, -128, 127))


@pytest.mark.parametrize("with_bias", [True, False])
def test_fully_connected_with_and_without_its_optional_bias(with_bias: bool) -> None:
    x, w = int8((1, 10), -4, 4), rng().integers(-3, 3, (7, 10), np.int8, endpoint=True)
    bias = np.arange(7, dtype=np.int32) if with_bias else np.zeros(7, np.int32)
    graph = one_op(
        "FULLY_CONNECTED",
        Fused("NONE"),
        [tensor("x", x.shape, scale=1.0), tensor("w", w, scale=1.0), tensor("b", bias, scale=1.0)],
        tensor("y", (1, 7), scale=1.0),
    )
    if not with_bias:
        node = graph.nodes[0]
        graph = Graph(
            graph.name, graph.tensors, (Node(node.op, node.name, ("x", "w", None), ("y",), node.attrs),), ("x",), ("y",)
        )
    expected = x.astype(int) @ w.astype(int).T + bias
    np.testing.assert_array_equal(run(graph, x), np.clip(expected, -128, 127))


@pytest.mark.parametrize("activation, low, high", [("NONE", -np.inf, np.inf), ("RELU", 0, np.inf), ("RELU6", 0, 6)])
def test_add(activation: str, low: float, high: float) -> None:
    """Float, so that nothing but the activation decides."""
    x, y = rng().normal(0, 9, (2, 3, 5)).astype(np.float32), np.linspace(-9, 9, 5, dtype=np.float32)
    inputs = [tensor("x", x.shape, np.float32), tensor("c", y)]
    graph = one_op("ADD", Fused(activation), inputs, tensor("y", x.shape, np.float32))
    np.testing.assert_allclose(run(graph, x), np.clip(x + y, low, high), rtol=1e-6)


def test_reshape_with_attribute_and_with_tensor() -> None:
    x = int8((2, 3, 4))
    shape = tensor("shape", np.array([4, 6], np.int32))
    for attrs, inputs in ((Reshape((4, 6)), []), (None, [shape])):
        graph = one_op("RESHAPE", attrs, [tensor("x", x.shape), *inputs], tensor("y", (4, 6)))
        np.testing.assert_array_equal(run(graph, x), x.reshape(4, 6))


@pytest.mark.parametrize("beta", [1.0, 0.25])
def test_softmax(beta: float) -> None:
    x = rng().normal(0, 3, (2, 9)).astype(np.float32)
    graph = one_op("SOFTMAX", Softmax(beta), [tensor("x", x.shape, np.float32)], tensor("y", x.shape, np.float32))
    expected = np.exp(beta * x) / np.exp(beta * x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run(graph, x), expected, rtol=1e-4)


@pytest.mark.parametrize("op, reduce", [("MAX_POOL_2D", np.max), ("AVERAGE_POOL_2D", np.mean)])
def test_pools_share_one_options_table(op: str, reduce: Any) -> None:
    x = rng().normal(0, 1, (1, 4, 6, 3)).astype(np.float32)
    attrs = Pool("VALID", stride_w=3, stride_h=2, filter_width=3, filter_height=2)
    graph = one_op(op, attrs, [tensor("x", x.shape, np.float32)], tensor("y", (1, 2, 2, 3), np.float32))
    np.testing.assert_allclose(run(graph, x), reduce(x.reshape(1, 2, 2, 2, 3, 3), axis=(2, 4)), rtol=1e-5)


def test_mean_uses_the_options_of_reductions() -> None:
    x = rng().normal(0, 1, (1, 4, 6, 3)).astype(np.float32)
    inputs = [tensor("x", x.shape, np.float32), tensor("axes", np.array([1, 2], np.int32))]
    graph = one_op("MEAN", Reducer(keep_dims=True), inputs, tensor("y", (1, 1, 1, 3), np.float32))
    np.testing.assert_allclose(run(graph, x), x.mean(axis=(1, 2), keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("name", ["kws_int8", "resnet8_int8", "vww96_int8", "ad01_fp32", "person_detect"])
def test_a_model_that_is_loaded_and_saved_computes_the_same(name: str, zoo: Path) -> None:
    (path,) = zoo.rglob(f"{name}.tflite")
    graph = load_file(path)
    x = graph[graph.inputs[0]]
    original, again = (run(m, int8(x.shape).astype(x.dtype)) for m in (path.read_bytes(), graph))
    assert len(np.unique(original)) > 1
    np.testing.assert_array_equal(again, original)


def saved(graph: Graph, versions: dict[str, int] | None = None) -> Any:
    return tflite.Model.GetRootAs(save_tflite(graph, versions))


def test_every_code_is_written_where_old_and_new_readers_look() -> None:
    """Codes above 127 do not fit the old field; a reader takes the larger of the two fields."""
    f = [tensor("x", (4,), np.float32)]
    low = saved(one_op("RELU", None, f, tensor("y", (4,), np.float32)), {"RELU": 2}).OperatorCodes(0)
    high = saved(one_op("GELU", None, f, tensor("y", (4,), np.float32))).OperatorCodes(0)
    assert (low.DeprecatedBuiltinCode(), low.BuiltinCode(), low.Version()) == (19, 19, 2)
    assert (high.DeprecatedBuiltinCode(), high.BuiltinCode(), high.Version()) == (127, 150, 1)


def test_nodes_of_one_op_keep_their_versions() -> None:
    x, y, z = (tensor(n, (4,), np.float32) for n in "xyz")
    nodes = [
        Node("RELU", n, (a,), (b,), None, version) for n, a, b, version in (("p", "x", "y", 1), ("q", "y", "z", 2))
    ]
    model = saved(Graph("main", {t.name: t for t in (x, y, z)}, tuple(nodes), ("x",), ("z",)))
    operators = [model.Subgraphs(0).Operators(i) for i in range(2)]
    assert [model.OperatorCodes(o.OpcodeIndex()).Version() for o in operators] == [1, 2]


def test_second_options_union_is_used_where_the_schema_says_so() -> None:
    @dataclass(frozen=True)
    class Composite:
        name: None = None
        version: int = 0

    f = [tensor("x", (4,), np.float32)]
    op = (
        saved(one_op("STABLEHLO_COMPOSITE", Composite(version=7), f, tensor("y", (4,), np.float32)))
        .Subgraphs(0)
        .Operators(0)
    )
    assert op.BuiltinOptionsType() == 0 and op.BuiltinOptions() is None
    assert op.BuiltinOptions2Type() == tflite.BuiltinOptions2.StableHLOCompositeOptions


def test_file_has_identifier_aligned_buffers_and_the_same_bytes_each_time() -> None:
    constants = [tensor(f"c{n}", np.arange(n, dtype=np.int8)) for n in (1, 3, 16, 17)]
    graph = one_op("CONCATENATION", None, [tensor("x", (1,)), *constants], tensor("y", (38,)))
    blob = save_tflite(graph)
    assert blob[4:8] == b"TFL3" and blob == save_tflite(graph)
    model = tflite.Model.GetRootAs(blob)
    for i, c in enumerate(constants, start=1):
        data = model.Buffers(i)
        o = data._tab.Offset(4)
        assert data._tab.Vector(o) % 16 == 0
        np.testing.assert_array_equal(data.DataAsNumpy(), np.asarray(c.data).view(np.uint8))


def test_names_shapes_and_quantization_survive() -> None:
    w = Tensor("w", (2, 3), np.dtype(np.int8), Quant((0.5, 0.25), (0, 0), axis=0), np.ones((2, 3), np.int8))
    graph = one_op(
        "FULLY_CONNECTED", Fused(), [tensor("x", (1, 3), scale=0.1, zero=-7), w], tensor("y", (1, 2), scale=1.0)
    )
    model = saved(graph)
    sub = model.Subgraphs(0)
    assert (model.Description(), sub.Name(), sub.Inputs(0), sub.Outputs(0)) == (b"a test", b"main", 0, 2)
    x, weights = sub.Tensors(0), sub.Tensors(1)
    assert (x.Name(), x.ShapeAsNumpy().tolist(), x.Type()) == (b"x", [1, 3], tflite.TensorType.INT8)
    assert (x.Quantization().Scale(0), x.Quantization().ZeroPoint(0)) == (np.float32(0.1), -7)
    assert weights.Quantization().ScaleAsNumpy().tolist() == [0.5, 0.25]
    assert x.Buffer() == 0 and weights.Buffer() == 1


def test_an_internal_field_is_refused_unless_it_is_at_its_default() -> None:
    graph = one_op("CONV_2D", Conv(pads=(1, 0, 1, 0)), [tensor("x", (1, 4, 4, 1))], tensor("y", (1, 4, 4, 1)))
    with pytest.raises(Unsupported, match=r"the_conv_2d \(CONV_2D\).*pads = \(1, 0, 1, 0\).*Conv2DOptions"):
        save_tflite(graph)


@pytest.mark.parametrize(
    "graph, error, message",
    [
        (one_op("NO_SUCH_OP", None, [tensor("x", (1,))], tensor("y", (1,))), Unsupported, "NO_SUCH_OP"),
        (one_op("CONV_2D", Conv("WIDE"), [tensor("x", (1,))], tensor("y", (1,))), ModelError, "'WIDE'.*SAME, VALID"),
        (one_op("RELU", Fused("RELU"), [tensor("x", (1,))], tensor("y", (1,))), Unsupported, "no options"),
        (one_op("RELU", None, [tensor("x", (1,), "M8[s]")], tensor("y", (1,))), Unsupported, "datetime64"),
        (Graph("g", {}, (), ("ghost",), ()), ModelError, "ghost"),
        (Graph("g", {}, (Node("RELU", "r", ("ghost",), ()),), (), ()), ModelError, "ghost"),
        (
            Graph("g", {"c": Tensor("c", (3,), np.dtype("i1"), None, np.zeros(2, "i1"))}, (), (), ()),
            ModelError,
            r"int8\[2\].*int8\[3\]",
        ),
        (
            Graph("g", {"c": Tensor("c", (3,), np.dtype("i1"), Quant((1.0, 1.0), (0, 0)))}, (), (), ()),
            ModelError,
            r"2 scales do not fit axis 0 of \[3\]",
        ),
    ],
)
def test_what_cannot_be_written_is_named(graph: Graph, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        save_tflite(graph)
