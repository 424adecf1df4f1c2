"""Products with zero factors, whose derivatives TensorFlow divides out.

They are polynomials of degree one in each entry, of which central differences
of any step are exact.
"""

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

POINTS = [[0.0, 2.0, 3.0, 0.0], [0.0, 2.0, 3.0, -1.0], [1.0, 2.0, 3.0, 0.5]]
C = np.array([1.0, 2.0, -1.0, 0.5])


def cumulative(x, exclusive, reverse):
    x = x[::-1] if reverse else x
    products = np.cumprod(x)
    if exclusive:
        products = np.append(1, products[:-1])
    return C @ (products[::-1] if reverse else products)


CASES = {
    "reduce_prod": (tf.reduce_prod, np.prod),
    "keras.ops.prod": (keras.ops.prod, np.prod),
    "reduce_prod, axis": (
        lambda w: tf.reduce_sum(
            C[:2] * tf.reduce_prod(tf.reshape(w, (2, 2)), 1)
        ),
        lambda x: C[0] * x[0] * x[1] + C[1] * x[2] * x[3],
    ),
    "cumprod in a function": (
        tf.function(lambda w: tf.reduce_sum(C * tf.math.cumprod(w))),
        lambda x: cumulative(x, False, False),
    ),
    "segment_prod": (
        lambda w: tf.reduce_sum(C[:2] * tf.math.segment_prod(w, [0, 0, 0, 1])),
        lambda x: C[0] * x[:3].prod() + C[1] * x[3],
    ),
    "unsorted_segment_prod": (
        lambda w: tf.reduce_sum(
            C[:2] * tf.math.unsorted_segment_prod(w, [1, 0, 1, 1], 2)
        ),
        lambda x: C[1] * x[0] * x[2] * x[3] + C[0] * x[1],
    ),
    "unsorted_segment_prod, rows and dropped": (
        lambda w: tf.reduce_sum(
            C[:2]
            * tf.math.unsorted_segment_prod(tf.reshape(w, (2, 2)), [0, -1], 1)
        ),
        lambda x: C[0] * x[0] + C[1] * x[1],
    ),
} | {
    f"cumprod, exclusive={exclusive}, reverse={reverse}": (
        lambda w, e=exclusive, r=reverse: tf.reduce_sum(
            C * tf.math.cumprod(w, exclusive=e, reverse=r)
        ),
        lambda x, e=exclusive, r=reverse: cumulative(x, e, r),
    )
    for exclusive in (False, True)
    for reverse in (False, True)
}


def differences(polynomial, x):
    """The gradient and the Hessian."""
    units = np.eye(len(x))
    gradient = [(polynomial(x + u) - polynomial(x - u)) / 2 for u in units]
    hessian = [
        [
            (
                polynomial(x + u + v)
                - polynomial(x + u - v)
                - polynomial(x - u + v)
                + polynomial(x - u - v)
            )
            / 4
            for v in units
        ]
        for u in units
    ]
    return np.array(gradient), np.array(hessian)


def hessian_by_graph(function, w):
    @tf.function(autograph=False)
    def product(v):
        with tf.GradientTape() as tape:
            loss = function(w)
        graph = GradientGraph([tape.gradient(loss, w)], [w])
        return graph.hessian_vector_product([v])[0]

    return [product(tf.constant(unit)) for unit in np.eye(4)]


def hessian_by_tapes(function, w):
    return [
        hessian_vector_product(lambda: function(w), [w], [unit])[0]
        for unit in np.eye(4)
    ]


@pytest.mark.parametrize("point", POINTS, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_tapes_are_exact_at_zeros(name, point):
    function, polynomial = CASES[name]
    gradient, hessian = differences(polynomial, np.array(point))
    w = tf.Variable(point, dtype="float64")
    with exact_derivatives():
        with tf.GradientTape() as tape:
            value = function(w)
        slope = tape.gradient(value, w)
    np.testing.assert_allclose(slope, gradient, atol=1e-12)
    measured = hessian_by_tapes(function, w)
    # The diagonal of a polynomial of degree one in each entry is zero.
    np.testing.assert_allclose(measured, hessian, atol=1e-12)


@pytest.mark.parametrize("point", POINTS, ids=str)
@pytest.mark.parametrize("name", [n for n in CASES if "reduce_prod" in n])
def test_the_gradient_graph_of_a_product_is_exact_at_zeros(name, point):
    function, polynomial = CASES[name]
    _, hessian = differences(polynomial, np.array(point))
    w = tf.Variable(point, dtype="float64")
    np.testing.assert_allclose(
        hessian_by_graph(function, w), hessian, atol=1e-12
    )


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_the_gradient_graph_of_cumprod_is_exact_or_not_a_number(point):
    """TensorFlow's own first gradient is wrong at zeros."""
    function, polynomial = CASES["cumprod, exclusive=False, reverse=False"]
    _, hessian = differences(polynomial, np.array(point))
    w = tf.Variable(point, dtype="float64")
    measured = hessian_by_graph(function, w)
    if 0.0 in point:
        assert np.isnan(measured).any()
    else:
        np.testing.assert_allclose(measured, hessian, atol=1e-12)


@pytest.mark.parametrize("name", ["segment_prod", "unsorted_segment_prod"])
def test_segments_in_a_gradient_graph_are_refused(name):
    w = tf.Variable(POINTS[0], dtype="float64")
    with pytest.raises(SecondDerivativeError, match="SegmentProd"):
        hessian_by_graph(CASES[name][0], w)


def test_a_length_that_is_not_known_is_no_obstacle():
    w = tf.Variable(POINTS[0], dtype="float64", shape=[None])
    function, polynomial = CASES["cumprod, exclusive=False, reverse=False"]
    _, hessian = differences(polynomial, np.array(POINTS[0]))

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec([None], "float64")] * 2
    )
    def product(x, v):
        with exact_derivatives(), tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = function(x)
            slope = inner.gradient(value, x)
        with exact_derivatives():
            return outer.gradient(slope, x, output_gradients=v)

    measured = [product(w, unit) for unit in np.eye(4)]
    np.testing.assert_allclose(measured, hessian, atol=1e-12)
