"""Hessian-vector products of a loss function, by nested tapes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_curvature.autodiff import hessian_vector_product
from tests.oracles import (
    dense_hessian,
    difference_product,
    flat,
    random_like,
)

MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "jit": lambda function: tf.function(function, jit_compile=True),
}


@pytest.fixture(params=MODES)
def run(request):
    """Calls a function eagerly, in a graph, or compiled by XLA."""
    return lambda function: MODES[request.param](function)()


def test_linear_least_squares_has_hessian_xtx(run, rng):
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, 1))
    w, v = tf.Variable(rng.normal(size=(4, 1))), rng.normal(size=(4, 1))

    def loss():
        return tf.reduce_mean((x @ w - y) ** 2)

    (product,) = run(lambda: hessian_vector_product(loss, [w], [v]))
    assert_allclose(product, 2 / 7 * x.T @ x @ v, rtol=1e-12)


def test_logistic_regression_has_hessian_xt_s_x(run, rng):
    x, y = rng.normal(size=(9, 3)), rng.integers(0, 2, (9, 1)).astype(float)
    w, v = tf.Variable(rng.normal(size=(3, 1))), rng.normal(size=(3, 1))

    def loss():
        return tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=x @ w)
        )

    (product,) = run(lambda: hessian_vector_product(loss, [w], [v]))
    p = 1 / (1 + np.exp(-x @ w.numpy()))
    assert_allclose(product, x.T @ (p * (1 - p) * (x @ v)), rtol=1e-12)


def test_softmax_regression_has_hessian_xxt_kron_diag_p_minus_ppt(run, rng):
    x = rng.normal(size=(6, 3))
    y = np.eye(4)[rng.integers(0, 4, 6)]
    w, v = tf.Variable(rng.normal(size=(3, 4))), rng.normal(size=(3, 4))

    def loss():
        return tf.reduce_sum(
            tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=x @ w)
        )

    (product,) = run(lambda: hessian_vector_product(loss, [w], [v]))
    logits = x @ w.numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    hessian = sum(
        np.kron(np.outer(xi, xi), np.diag(pi) - np.outer(pi, pi))
        for xi, pi in zip(x, p, strict=True)
    )
    assert_allclose(np.ravel(product), hessian @ v.ravel(), rtol=1e-11)


@pytest.fixture
def network(float64, rng):
    """A model with bends in all its parts, and a loss over all its weights."""
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            keras.layers.Conv1D(3, 2, activation="gelu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="tanh"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    x, y = rng.normal(size=(6, 5, 4)), np.eye(2)[rng.integers(0, 2, 6)]

    def loss():
        return tf.reduce_mean(
            keras.losses.categorical_crossentropy(y, model(x))
        )

    return model, loss


def test_network_agrees_with_central_differences_and_the_dense_hessian(
    run, network
):
    model, loss = network
    variables = model.trainable_variables
    vectors = random_like(variables)
    product = flat(
        run(lambda: hessian_vector_product(loss, variables, vectors))
    )
    assert_allclose(
        product, difference_product(loss, variables, vectors), atol=1e-9
    )
    assert_allclose(
        product, dense_hessian(loss, variables) @ flat(vectors), atol=1e-13
    )


def test_keras_variables_and_their_tf_variables_give_the_same(network):
    model, loss = network
    vectors = random_like(model.trainable_variables)
    keras_product = hessian_vector_product(
        loss, model.trainable_variables, vectors
    )
    tf_product = hessian_vector_product(
        loss, [v.value for v in model.trainable_variables], vectors
    )
    assert_allclose(flat(keras_product), flat(tf_product), rtol=0)


def test_variables_that_are_not_trainable_are_differentiated(run):
    w = tf.Variable([1.0, 2.0], trainable=False)
    product = run(
        lambda: hessian_vector_product(
            lambda: tf.reduce_sum(w**3), [w], [[1.0, 1.0]]
        )
    )
    assert_allclose(product[0], [6.0, 12.0])


def test_embedding_with_repeated_indices_adds_their_parts(run, rng):
    # L = Σₖ (aₖ·E[iₖ])²/2, so H is block diagonal with Σ aₖaₖᵀ over the k
    # that look up the same row.
    indices, a = np.array([2, 0, 2, 2]), rng.normal(size=(4, 3))
    embedding = tf.Variable(rng.normal(size=(4, 3)))
    v = rng.normal(size=(4, 3))

    def loss():
        rows = tf.gather(embedding, indices)
        return tf.reduce_sum(tf.reduce_sum(a * rows, 1) ** 2) / 2

    (product,) = run(lambda: hessian_vector_product(loss, [embedding], [v]))
    expected = np.zeros((4, 3))
    for k, row in enumerate(indices):
        expected[row] += a[k] * (a[k] @ v[row])
    assert_allclose(product, expected, rtol=1e-12)


def test_vector_entries_of_none_count_as_zero():
    u, w = tf.Variable(2.0), tf.Variable(3.0)
    products = hessian_vector_product(
        lambda: u**2 * w, [u, w], [None, tf.constant(1.0)]
    )
    assert_allclose(products, [4.0, 0.0])  # ∂²(u²w)/∂w∂u = 2u


def test_blocks_without_curvature_are_zero():
    u, w = tf.Variable(2.0), tf.Variable(3.0)
    products = hessian_vector_product(lambda: u**3 + w, [u, w], [1.0, 1.0])
    assert_allclose(products, [12.0, 0.0])


def test_an_unconnected_variable_is_named():
    w, unused = tf.Variable(1.0), tf.Variable(1.0, name="unused")
    with pytest.raises(ValueError, match=r"no gradient for unused"):
        hessian_vector_product(lambda: w**2, [w, unused], [1.0, 1.0])


def test_an_unconnected_keras_variable_is_named_by_its_path():
    w, layer = tf.Variable(1.0), keras.layers.Dense(2, name="head")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"no gradient for head/kernel"):
        hessian_vector_product(
            lambda: w**2, [w, layer.kernel], [1.0, tf.ones((3, 2))]
        )


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda w: 3.0 * w, id="linear"),
        pytest.param(lambda w: w * tf.stop_gradient(w), id="stopped gradient"),
    ],
)
def test_a_loss_without_curvature_is_refused(run, loss):
    w = tf.Variable(2.0)
    with pytest.raises(ValueError, match="no Hessian to multiply with"):
        run(lambda: hessian_vector_product(lambda: loss(w), [w], [1.0]))


def test_a_loss_that_is_not_scalar_is_refused():
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"must return a scalar.*\(2,\)"):
        hessian_vector_product(lambda: w**2, [w], [[1.0, 1.0]])


def test_vectors_of_another_shape_are_refused():
    w = tf.Variable([1.0, 2.0], name="w")
    with pytest.raises(ValueError, match=r"shape \(3,\).*w.*shape \(2,\)"):
        hessian_vector_product(
            lambda: tf.reduce_sum(w**2), [w], [[1.0, 1.0, 1.0]]
        )


@pytest.mark.parametrize("vectors", [[], [[1.0, 1.0], [1.0, 1.0]]])
def test_another_number_of_vectors_is_refused(vectors):
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="one tensor for each variable"):
        hessian_vector_product(lambda: tf.reduce_sum(w**2), [w], vectors)


def test_vectors_of_none_only_are_refused():
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="for at least one variable"):
        hessian_vector_product(lambda: tf.reduce_sum(w**2), [w], [None])


def test_python_numbers_keep_their_float64_digits():
    w = tf.Variable(1.0, dtype="float64")
    assert hessian_vector_product(lambda: w**2 / 2, [w], [0.1])[0] == 0.1
