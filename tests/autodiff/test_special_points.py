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


def pseudo_inverse(w):
    """y·(1 − x)/(1 + x), by a matrix whose singular values are 1 at x = 0."""
    x = w[0]
    rows = tf.linalg.pinv([[1 + x, x], [tf.zeros_like(x), tf.ones_like(x)]])
    return tf.reduce_sum(rows[0]) * w[1]


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
    "numpy's logaddexp": (
        lambda w: tf.experimental.numpy.logaddexp(w[0] + Y, w[1]),
        [0.5, 0.5],
        [[0.25, -0.25], [-0.25, 0.25]],
    ),
    "pinv": (
        pseudo_inverse,
        [-2 * Y, 1],
        [[4 * Y, -2], [-2, 0]],
    ),
    # Of labels (1, 2), at p = (½, ½).
    "softmax cross-entropy of counts": (
        lambda w: tf.nn.softmax_cross_entropy_with_logits(
            [1.0, 2.0], tf.stack([w[0] + Y, w[1]])
        ),
        [0.5, -0.5],
        [[0.75, -0.75], [-0.75, 0.75]],
    ),
    "weighted cross-entropy": (
        lambda w: (
            tf.nn.weighted_cross_entropy_with_logits(0.5, w[0], 3.0) * w[1]
        ),
        [-0.5 * Y, 2 * np.log(2)],
        [[0.5 * Y, -0.5], [-0.5, 0]],
    ),
    # The mean of x and y, squared, three times.
    "isotonic regression": (
        lambda w: tf.reduce_sum(
            tf.nn.isotonic_regression(w)[0] ** 2 * [1.0, 2.0]
        ),
        [1.5 * Y, 1.5 * Y],
        [[1.5, 1.5], [1.5, 1.5]],
    ),
    # x² at 0, y² overwritten by x³ at 1, and y³ at 2.
    "dynamic_stitch": (
        stitched,
        [0, 3 * Y**2],
        [[2, 0], [0, 6 * Y]],
    ),
}


NOT_IN_GRAPHS = {
    "dynamic_stitch": "DynamicStitch",
    "isotonic regression": "IsotonicRegression",
}


@pytest.mark.parametrize(
    "name, is_traced",
    [(name, False) for name in CASES]
    + [
        (name, True)
        for name in CASES
        if name not in (*NOT_IN_GRAPHS, "softmax cross-entropy of counts")
    ],
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
        "numpy's logaddexp",
        "pinv",
        "softmax cross-entropy of counts",
        "weighted cross-entropy",
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


def test_a_graph_keeps_the_slope_of_hypot_at_the_origin():
    w = tf.Variable([0.0, 0.0])

    @tf.function(autograph=False)
    def product():
        with tf.GradientTape() as tape:
            value = ops.hypot(w[0], w[1]) + tf.reduce_sum(w**2)
        graph = GradientGraph([tape.gradient(value, w)], [w])
        return graph.hessian_vector_product([tf.constant([1.0, 2.0])])[0]

    np.testing.assert_allclose(product(), [2, 4])


@pytest.mark.parametrize("name", NOT_IN_GRAPHS)
def test_what_a_graph_has_wrong_is_refused(name):
    w = tf.Variable([0.0, Y])
    function = tf.function(CASES[name][0], autograph=False)
    with pytest.raises(SecondDerivativeError, match=NOT_IN_GRAPHS[name]):
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
