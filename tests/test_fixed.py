"""The fixed-point arithmetic is one definition, written twice, and close to the real functions it stands for."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinsmith import fixed, ops, targets, toolchain
from tinsmith.graph import Array, Graph, Node, Quant, Tensor

LOW, HIGH = -(2**31), 2**31 - 1
SPECIAL = [LOW, LOW + 1, -(2**30) - 1, -(2**30), -(2**30) + 1, -65537, -3, -2, -1, 0, 1, 2, 3, 32767, 2**30 - 1, 2**30,
           2**30 + 1, HIGH - 1, HIGH]  # fmt: skip

int32s = st.one_of(st.sampled_from(SPECIAL), st.integers(LOW, HIGH), st.integers(-300, 300))
multipliers = st.one_of(st.just(0), st.just(2**30), st.just(HIGH), st.integers(2**30, HIGH))
many = settings(max_examples=400, deadline=None, derandomize=True)


def round_half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def round_half_away(x: Fraction) -> int:
    return round_half_up(x) if x >= 0 else -round_half_up(-x)


def wrap(x: int) -> int:
    return (x + 2**31) % 2**32 - 2**31


@given(int32s, int32s)
@many
def test_doubling_high_mul_is_the_product_over_2_31_rounded_half_up(a: int, b: int) -> None:
    expected = HIGH if a == b == LOW else round_half_up(Fraction(a * b, 2**31))
    assert fixed.doubling_high_mul(np.array(a), b) == expected


@given(int32s, st.integers(0, 31))
@many
def test_rounding_shift_rounds_half_away_from_zero(x: int, exponent: int) -> None:
    assert fixed.rounding_shift(np.array(x), exponent) == round_half_away(Fraction(x, 2**exponent))


@given(int32s, multipliers, st.integers(-31, 30))
@many
def test_requantize_rounds_twice_and_wraps_what_it_shifts_left(x: int, multiplier: int, shift: int) -> None:
    high = round_half_up(Fraction(wrap(x << max(shift, 0)) * multiplier, 2**31))
    assert fixed.requantize(np.array(x), multiplier, shift) == round_half_away(Fraction(high, 2 ** max(-shift, 0)))


@given(st.integers(-(2**40), 2**40))
@many
def test_wrap32_is_twos_complement(x: int) -> None:
    assert fixed.wrap32(np.array(x)) == wrap(x)


@given(int32s, st.integers(0, 31))
@many
def test_shift_left_saturates(x: int, exponent: int) -> None:
    assert fixed.saturating_shift_left(np.array(x), exponent) == min(max(x * 2**exponent, LOW), HIGH)


@given(int32s, int32s)
@many
def test_half_sum_rounds_away_from_zero(a: int, b: int) -> None:
    assert fixed.rounding_half_sum(np.array(a), b) == round_half_away(Fraction(a + b, 2))


@given(st.one_of(st.floats(2.0**-31, 2.0**30), st.floats(1e-30, 1e-9), st.sampled_from([0.5, 1.0, 2.0, 1 - 2.0**-53])))
@many
def test_multiplier_and_shift_are_the_nearest_to_a_factor(real: float) -> None:
    multiplier, shift = fixed.quantize_multiplier(real)
    exact = Fraction(real)
    if multiplier == 0:
        assert shift == 0 and exact < Fraction(1, 2**32)
        return
    assert 2**30 <= multiplier <= HIGH and shift >= -31
    unit = Fraction(2) ** (shift - 31)
    assert abs(exact - multiplier * unit) <= unit / 2 and exact >= Fraction(1, 2**32) * (1 - Fraction(1, 2**31))


def test_a_factor_that_rounds_up_to_a_power_of_two_moves_the_shift() -> None:
    assert fixed.quantize_multiplier(1 - 2.0**-40) == (2**30, 1)
    assert fixed.quantize_multiplier(0.0) == (0, 0)


@given(st.floats(2.0**-20, 2.0**20, width=32), st.integers(-128, 127), st.floats(-20, 20, width=32))
@many
def test_constants_are_quantized_half_away_from_zero_in_single_precision(scale: float, zero: int, real: float) -> None:
    quotient = Fraction(float(np.float32(real) / np.float32(scale)))
    assert fixed.quantize_value(real, scale, zero) == zero + round_half_away(quotient)


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    source = Path(__file__).parent / "fixtures" / "fixed" / "expose.c"
    output = tmp_path_factory.mktemp("fixed") / "fixed.so"
    built = toolchain.build(targets.load("host"), [source], [], output, kind="shared", instrument="none")
    return ctypes.CDLL(str(built.output))


def call(c: ctypes.CDLL, name: str, *arguments: Array) -> Array:
    """each_<name> of the fixture on int32 arrays of one length."""
    columns = [np.ascontiguousarray(a, np.int32) for a in arguments]
    out: Array = np.zeros_like(columns[0])
    getattr(c, f"each_{name}")(*(ctypes.c_void_p(a.ctypes.data) for a in (*columns, out)), ctypes.c_int32(out.size))
    return out.astype(np.int64)


def grid(*choices: Array | list[int] | range) -> Iterator[Array]:
    """All combinations, as one flat array for each place."""
    return (axis.ravel() for axis in np.meshgrid(*(np.array(c, np.int64) for c in choices), indexing="ij"))


def numbers(count: int) -> Array:
    """Special values, every power of two and its neighbours, and random numbers of all magnitudes."""
    rng = np.random.default_rng(7)
    powers = [sign * 2**k + d for k in range(31) for sign in (1, -1) for d in (-1, 0, 1)]
    noise = rng.integers(LOW, HIGH, count, endpoint=True) >> rng.integers(0, 31, count)
    return np.unique(np.concatenate([np.array(SPECIAL), np.array(powers), noise]))


MULTIPLIERS = [0, 2**30, 2**30 + 1, 1518500250, HIGH - 1, HIGH]


def test_c_and_numpy_multiply_alike(c: ctypes.CDLL) -> None:
    a, b = grid(numbers(600), numbers(300))
    usable = (a != LOW) | (b != LOW)  # left out of tin_doubling_high_mul, and said so there
    a, b = a[usable], b[usable]
    assert (call(c, "doubling_high_mul", a, b) == fixed.doubling_high_mul(a, b)).all()


def test_c_and_numpy_shift_alike(c: ctypes.CDLL) -> None:
    x, exponent = grid(numbers(3000), range(32))
    assert (call(c, "rounding_shift", x, exponent) == fixed.rounding_shift(x, exponent)).all()


def test_c_and_numpy_requantize_alike(c: ctypes.CDLL) -> None:
    x, multiplier, shift = grid(numbers(2000), MULTIPLIERS, range(-31, 31))
    assert (call(c, "requantize", x, multiplier, shift) == fixed.requantize(x, multiplier, shift)).all()


def test_c_and_numpy_wrap_and_clamp_alike(c: ctypes.CDLL) -> None:
    a, b = grid(numbers(600), numbers(300))
    assert (call(c, "add_wrap", a, b) == fixed.wrap32(a + b)).all()
    x, low, high = grid(numbers(300), [LOW, -128, 0, 5], [-128, 5, 127, HIGH])
    assert (call(c, "clamp", x, low, high) == np.minimum(np.maximum(x, low), high)).all()


@pytest.mark.parametrize("integer_bits", [2, 4, 5, 6])
def test_exp_is_close(integer_bits: int) -> None:
    x = -np.unique(np.concatenate([np.geomspace(1, 2**31, 20000), np.linspace(0, 2**31, 20000)]).astype(np.int64))
    real = np.exp(x / 2.0 ** (31 - integer_bits)) * 2**31
    found = fixed.exp_on_negative_values(x, integer_bits)
    assert np.abs(found - np.minimum(real, HIGH)).max() < 2**31 * 2e-7 * integer_bits
    assert (found >= 0).all() and found[x == 0] == HIGH


def test_reciprocal_is_close() -> None:
    a = np.unique(
        np.concatenate([np.linspace(0, HIGH, 50000).astype(np.int64), np.arange(2000), HIGH - np.arange(2000)])
    )
    found = fixed.reciprocal_one_plus(a)
    assert np.abs(found - 2**31 / (1 + a / 2**31)).max() < 16


def test_logistic_is_close_and_symmetric() -> None:
    x = np.unique(np.concatenate([np.linspace(LOW + 1, HIGH, 40001).astype(np.int64), np.arange(-3000, 3000)]))
    found = fixed.logistic(x, 4)
    assert np.abs(found - 2**31 / (1 + np.exp(-x / 2.0**27))).max() < 2**31 * 1e-6
    assert (found + fixed.logistic(-x, 4) >= HIGH).all() and (found[x == 0] == 2**30).all()


def every_byte(op: str, attrs: object, scale: float, y_quant: Quant, shape: tuple[int, ...] = (256,)) -> Graph:
    x = Tensor("x", shape, np.dtype(np.int8), Quant((float(np.float32(scale)),), (3,)))
    y = replace(x, name="y", quant=y_quant)
    return Graph("g", {"x": x, "y": y}, (Node(op, op, ("x",), ("y",), attrs),), ("x",), ("y",))


SCALES = [2.0**-28, 1e-7, 1e-4, 0.001, 0.01, 1 / 256, 0.0235, 0.05, 0.1, 0.125, 0.33, 1.0, 7.9, 8.0, 100.0, 1e9]
UNIT = Quant((1 / 256,), (-128,))


def against_the_judge(graph: Graph, x: Array, real: Callable[[Array], Array]) -> None:
    """numpy equals TensorFlow Lite Micro, and is near the real function."""
    (found,) = parity.numpy_outputs(graph, [x])
    steps = (found.astype(np.float64) + 128) / 256
    assert np.abs(steps - real((x.astype(np.float64) - 3) * graph["x"].scale)).max() < 1.6 / 256
    assert parity.equal(parity.judge(graph, [[x]])[0], [found])


@pytest.mark.parametrize("scale", SCALES)
def test_logistic_of_all_bytes(scale: float) -> None:
    pytest.importorskip("tflite_micro")
    graph = every_byte("LOGISTIC", None, scale, UNIT)
    every: Array = np.arange(-128, 128).astype(np.int8)
    if scale < 8:
        against_the_judge(graph, every, lambda r: 1 / (1 + np.exp(-np.clip(r, -700, 700))))
    else:  # no room for any input between the two ends
        assert parity.equal(parity.judge(graph, [[every]])[0], parity.numpy_outputs(graph, [every]))


@pytest.mark.parametrize("scale", [float(np.nextafter(np.float32(2**-26), np.float32(1))), *SCALES[1:]])
def test_softmax_of_all_differences(scale: float) -> None:
    """Rows of the greatest value and one other, for all differences from 0 to 255."""
    pytest.importorskip("tflite_micro")
    graph = every_byte("SOFTMAX", ops.find("SOFTMAX").Attrs(), scale, UNIT, (256, 2))
    pairs: Array = np.stack([np.full(256, 127), 127 - np.arange(256)], axis=1).astype(np.int8)

    def softmax(r: Array) -> Array:
        e = np.exp(r - r.max(axis=1, keepdims=True))
        return np.asarray(np.minimum(e / e.sum(axis=1, keepdims=True), 255 / 256))

    against_the_judge(graph, pairs, softmax)
