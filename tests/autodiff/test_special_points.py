"""Operations at points where TensorFlow leaves a derivative out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import (
    GradientGraph,
    SecondDerivativeError,
    exact_derivatives,
    hessian_vector_product,
)

ops = keras.ops
Y = 1.7


def stitched(w):
    return tf.reduce_sum(
        tf.dynamic_stitch([[0, 1], [1, 2]], [w[:2] ** 2, w[:2] ** 3])
    )


# Functions of (x, y), their gradient and Hessian at x = 0.
CASES = {
    "xlogy": (
        lambda w: tf.math.xlogy(w[0], w[1]),
        [np.log(Y), 0],
        [[0, 1 / Y], [1 / Y, 0]],
    ),
    "xlogy, broadcast": (
        lambda w: tf.reduce_sum(tf.math.xlogy(w[0], w[1] * tf.ones([2, 1]))),
        [2 * np.log(Y), 0],
        [[0, 2 / Y], [2 / Y, 0]],
    ),
    "xlog1py": (
        lambda w: tf.math.xlog1py(w[0], w[1]),
        [np.log1p(Y), 0],
        [[0, 1 / (1 + Y)], [1 / (1 + Y), 0]],
    ),
    "xdivy": (
        lambda w: tf.math.xdivy(w[0], w[1]),
        [1 / Y, 0],
        [[0, -1 / Y**2], [-1 / Y**2, 0]],
    ),
    "logaddexp": (
        lambda w: ops.logaddexp(w[0] + Y, w[1]),
        [0.5, 0.5],
        [[0.25, -0.25], [-0.25, 0.25]],
    ),
    "logaddexp2": (
        lambda w: ops.logaddexp2(w[1], w[0] + Y),
        [0.5, 0.5],
        np.log(2) * np.array([[0.25, -0.25], [-0.25, 0.25]]),
    ),
    "hypot": (
        lambda w: ops.hypot(w[0], w[1]),
        [0, 1],
        [[1 / Y, 0], [0, 0]],
    ),
    "hypot, tied": (
        lambda w: ops.hypot(w[0] - Y, w[1]),
        [-(0.5**0.5), 0.5**0.5],
        0.125**0.5 / Y * np.ones((2, 2)),
    ),
    "fmod": (
        lambda w: ops.fmod(w[0], 1.0) * w[1],
        [Y, 0],
        [[0, 1], [1, 0]],
    ),
    "sinc": (
        lambda w: ops.sinc(w[0]) * w[1],
        [0, 1],
        [[-(np.pi**2) / 3 * Y, 0], [0, 0]],
    ),
    # On the right of its kink in the first derivative.
    "celu": (
        lambda w: ops.celu(w[0], 0.5) * w[1],
        [Y, 0],
        [[0, 1], [1, 0]],
    ),
    "power": (
        lambda w: tf.reduce_sum(ops.power(w[0], [0.0, 1.0, 2.0])) * w[1],
        [Y, 1],
        [[2 * Y, 1], [1, 0]],
    ),
    # x² at 0, y² overwritten by x³ at 1, and y³ at 2.
    "dynamic_stitch": (
        stitched,
        [0, 3 * Y**2],
        [[2, 0], [0, 6 * Y]],
    ),
}


@pytest.mark.parametrize(
    "name, is_traced",
    [(name, False) for name in CASES]
    + [(name, True) for name in CASES if name != "dynamic_stitch"],
)
def test_tapes_have_the_true_derivatives(name, is_traced):
    function, gradient, hessian = CASES[name]
    function = tf.function(function, autograph=False) if is_traced else function
    w = tf.Variable([0.0, Y])
    with exact_derivatives():
        with tf.GradientTape() as tape:
            value = function(w)
        slope = tape.gradient(value, w)
    np.testing.assert_allclose(slope, gradient, rtol=1e-6, atol=1e-6)
    measured = [
        hessian_vector_product(lambda: function(w), [w], [unit])[0]
        for unit in np.eye(2, dtype="float32")
    ]
    np.testing.assert_allclose(measured, hessian, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "xlogy",
        "xlog1py",
        "xdivy",
        "logaddexp",
        "logaddexp2",
        "hypot",
        "hypot, tied",
        "fmod",
        "power",
    ],
)
def test_a_graph_that_left_a_derivative_out_gives_no_number(name):
    w = tf.Variable([0.0, Y])

    @tf.function(autograph=False)
    def product():
        with tf.GradientTape() as tape:
            value = CASES[name][0](w)
        graph = GradientGraph([tape.gradient(value, w)], [w])
        return graph.hessian_vector_product([tf.constant([1.0, 2.0])])[0]

    assert np.isnan(product()).any()


def two_pieces(function):
    """Value and gradients at ordinary and at special values."""
    rng = np.random.default_rng(0)
    x = tf.constant(3 * rng.normal(size=(7, 1, 40)), tf.float32)
    y = tf.constant(3 * rng.normal(size=(4, 40)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        value = function(x, y)
        loss = tf.reduce_sum(tf.sin(value))
    special = tf.constant([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0])
    at_special = function(special[:, None], special)
    whole = function(tf.constant([[5], [-3]]), tf.constant([2, 3]))
    assert value.dtype == tf.float32
    return [value, *tape.gradient(loss, [x, y]), at_special, whole]


@pytest.mark.parametrize(
    "name",
    ["logaddexp", "logaddexp2", "hypot", "fmod", "celu", "power", "sinc"],
)
def test_elsewhere_value_and_gradient_are_those_of_keras(name):
    functions = {
        "celu": lambda x, y: ops.celu(tf.cast(x * y, tf.float32), 1.3),
        "power": lambda x, y: ops.power(ops.abs(x), y),
        "sinc": lambda x, y: ops.sinc(tf.cast(x * y, tf.float32)),
    }
    function = functions.get(name, getattr(ops, name))
    expected = two_pieces(function)
    with exact_derivatives():
        measured = two_pieces(function)
    for a, b in zip(measured, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_a_graph_keeps_the_slope_of_hypot_at_the_origin():
    w = tf.Variable([0.0, 0.0])

    @tf.function(autograph=False)
    def product():
        with tf.GradientTape() as tape:
            value = ops.hypot(w[0], w[1]) + tf.reduce_sum(w**2)
        graph = GradientGraph([tape.gradient(value, w)], [w])
        return graph.hessian_vector_product([tf.constant([1.0, 2.0])])[0]

    np.testing.assert_allclose(product(), [2, 4])


def test_overwritten_rows_of_a_graph_are_refused():
    w = tf.Variable([0.0, Y])
    function = tf.function(stitched, autograph=False)
    with pytest.raises(SecondDerivativeError, match="DynamicStitch"):
        hessian_vector_product(lambda: function(w), [w], [tf.ones(2)])


def test_a_product_of_zero_and_log_of_zero_keeps_its_convention():
    w = tf.Variable([0.0, 0.5])
    with exact_derivatives(), tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.math.xlogy(w, w))
    np.testing.assert_allclose(
        tape.gradient(value, w), [0, np.log(0.5) + 1], rtol=1e-6
    )


def test_a_sparse_softmax_is_refused_by_name():
    w = tf.Variable([1.0, 2.0, 3.0])

    def loss():
        sparse = tf.SparseTensor([[0, 0], [0, 2], [1, 1]], w, [2, 3])
        return tf.reduce_sum(tf.sparse.softmax(sparse).values ** 2)

    with pytest.raises(SecondDerivativeError, match="SparseDenseCwiseAdd"):
        hessian_vector_product(loss, [w], [tf.ones(3)])
