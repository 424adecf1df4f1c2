"""Values and derivatives against mpmath, directly and through tapes."""

import mpmath as mp
import numpy as np
import pytest
import tensorflow as tf

from tests.layers import exact_values
from tests.layers.exact_values import CASES

BOUND = {"float64": 1e-14, "float32": 1e-6}


def _methods(layer, x):
    return layer(x), layer.first_derivative(x), layer.second_derivative(x)


def _tapes(layer, x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = layer(x)
        first = inner.gradient(value, x)
    return first, outer.gradient(first, x)


def _evaluate(layer, x, jit_compile):
    """f, f', f'' from the methods, then f', f'' from tapes through call."""
    results = tf.function(
        lambda x: (*_methods(layer, x), *_tapes(layer, x)),
        jit_compile=jit_compile,
        autograph=False,
    )(tf.constant(x))
    return zip((0, 1, 2, 1, 2), results, strict=True)


# Between the points of the grid: where the result is normal but a naive factor
# of it (e⁻ˣ, e⁻²ˣ, φ(x)) has underflowed, and where exp(−x²) needs every bit.
TAILS = {
    "float32": [(86.0, 91.5), (42.5, 45.0), (8.5, 14.5)],
    "float64": [(706, 716), (353.0, 355.5), (20, 39)],
}
TAILED = {"silu", "mish", "gelu", "gelu_tanh", "gaussian", "sigmoid", "tanh"}
TAILED |= {"elu_alpha", "selu"}


def _points(name, dtype):
    x = exact_values.grid(dtype, points=60)
    if name in TAILED:
        tails = [np.linspace(*tail, 40, dtype=dtype) for tail in TAILS[dtype]]
        x = np.concatenate([x, *tails, *(-tail for tail in tails)])
    return _in_known_phase(name, x)


def _in_known_phase(name, x):
    """Sine resolves its phase up to |ωx| = 1e9; the rest of x is dropped."""
    return x[np.abs(x) < 1e6] if name in ("sine_30", "sine_pi") else x


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_derivatives_are_right_from_zero_to_the_largest_number(
    name, dtype, jit_compile
):
    x = _points(name, dtype)
    for order, received in _evaluate(CASES[name][0](), x, jit_compile):
        assert received.dtype == dtype
        errors = exact_values.relative_errors(name, order, x, received.numpy())
        worst = np.argmax(errors)
        assert errors[worst] <= BOUND[dtype], (order, x[worst])


# Distance from 1 to the next number, and the smallest normal number.
_HALF = {"float16": (2.0**-10, 2.0**-14), "bfloat16": (2.0**-7, 2.0**-126)}


def _ulp(value, dtype):
    epsilon, tiny = _HALF[dtype.name]
    exponent = np.frexp(np.maximum(np.abs(value), tiny))[1]
    return np.ldexp(epsilon, exponent - 1)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_within_two_units_in_the_last_place(
    name, dtype, jit_compile
):
    x = exact_values.grid("float32", points=60)[1:-1]
    x = tf.cast(_in_known_phase(name, x), dtype)
    wide = tf.cast(x, tf.float64).numpy()
    biggest = float(dtype.max)
    for order, received in _evaluate(CASES[name][0](), x, jit_compile):
        assert received.dtype == dtype
        truth = np.array(
            [float(t) for t in exact_values.exact(name, order, wide)]
        )
        rounded = tf.cast(tf.cast(truth, dtype), tf.float64).numpy()
        difference = np.abs(tf.cast(received, tf.float64).numpy() - rounded)
        inside = np.abs(truth) < biggest
        assert np.all(difference[inside] <= 2 * _ulp(rounded[inside], dtype))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32])
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
def test_gelu_does_not_leave_float32(name, dtype):
    layer = CASES[name][0]()
    graph = tf.function(lambda x: _tapes(layer, x), autograph=False)
    graph = graph.get_concrete_function(tf.TensorSpec([3], dtype)).graph
    used = {t.dtype for op in graph.get_operations() for t in op.outputs}
    assert dtype in used and tf.float64 not in used


@pytest.mark.parametrize("dtype", [tf.float16, tf.float32, tf.float64])
@pytest.mark.parametrize("name", [n for n in CASES if CASES[n][2]])
def test_limits_at_infinity(name, dtype):
    x = tf.constant([-np.inf, np.inf], dtype)
    layer = CASES[name][0]()
    results = (*_methods(layer, x), *_tapes(layer, x))
    for order, received in zip((0, 1, 2, 1, 2), results, strict=True):
        limit = tf.constant(CASES[name][2][order], dtype).numpy()
        np.testing.assert_array_equal(received.numpy(), limit, f"order {order}")


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_sine_has_no_limit_but_a_bounded_value_at_the_largest_number(dtype):
    biggest = dtype.max
    for name in ("sine", "sine_30", "sine_pi"):
        layer = CASES[name][0]()
        values = layer(tf.constant([-biggest, biggest, 1e30], dtype)).numpy()
        assert np.all(np.abs(values) <= 1.0)
        assert np.all(np.isnan(layer(tf.constant([-np.inf, np.inf], dtype))))


@pytest.mark.parametrize("name", CASES)
def test_nan_stays_nan(name):
    assert np.isnan(CASES[name][0]()(tf.constant([np.nan])).numpy()).all()


POINTS = [-80.3, -20.1, -6.3, -2.1, -0.7, -1e-3, 1e-3, 0.3, 1.7, 9.9, 400.0]
KINKED = ("relu", "leaky_relu", "elu", "elu_alpha", "selu", "softsign")


def _repeated_tapes(layer, x, order):
    if order == 0:
        return layer(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = _repeated_tapes(layer, x, order - 1)
    return tape.gradient(y, x)


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("name", CASES)
def test_third_and_fourth_derivatives_through_tapes_are_right(name, order):
    x = np.array(POINTS if name in KINKED else [*POINTS, 0.0])
    received = _repeated_tapes(CASES[name][0](), tf.constant(x), order).numpy()
    second = CASES[name][1][2]
    truth = [mp.diff(second, mp.mpf(v), order - 2) for v in x]
    truth = np.array([float(t) for t in truth])
    # Relative to the largest of them; the sine of 30 x has 30⁴.
    scale = max(np.abs(truth).max(), 1e-3)
    np.testing.assert_allclose(received, truth, rtol=0, atol=1e-13 * scale)
