"""Products with the generalized Gauss-Newton matrix."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_curvature.autodiff import (
    gauss_newton_vector_product,
    hessian_vector_product,
)
from tests.oracles import flat, random_like, values_of


def dense_gauss_newton(outputs_fn, loss_fn, variables):
    """JᵀH_LJ, both factors by `tape.jacobian`."""
    with tf.GradientTape() as tape:
        outputs = outputs_fn()
    size = int(tf.size(outputs))
    jacobian = np.concatenate(
        [
            np.reshape(tf.convert_to_tensor(block), (size, -1))
            for block in tape.jacobian(outputs, values_of(variables))
        ],
        1,
    )
    with tf.GradientTape() as outer:
        outer.watch(outputs)
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            loss = loss_fn(outputs)
        gradient = inner.gradient(loss, outputs)
    curved = np.reshape(outer.jacobian(gradient, outputs), (size, size))
    return jacobian.T @ curved @ jacobian


LOSSES = {
    "mean squared error": (
        lambda outputs: tf.reduce_mean((outputs - 0.3) ** 2)
    ),
    "softmax cross-entropy": lambda outputs: tf.reduce_mean(
        keras.losses.sparse_categorical_crossentropy(
            np.array([0, 2, 1, 1]), outputs, from_logits=True
        )
    ),
    "binary cross-entropy": lambda outputs: tf.reduce_mean(
        keras.losses.binary_crossentropy(
            np.eye(4)[:, :3], outputs, from_logits=True
        )
    ),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_product_is_that_with_the_dense_matrix(loss, jit, float64, rng):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation="tanh"),
            keras.layers.Dense(3),
        ]
    )
    x, variables = tf.constant(rng.normal(size=(4, 4))), model.weights
    vectors = random_like(variables)
    product = tf.function(
        lambda: gauss_newton_vector_product(
            lambda: model(x), LOSSES[loss], variables, vectors
        ),
        jit_compile=jit,
    )()
    dense = dense_gauss_newton(lambda: model(x), LOSSES[loss], variables)
    assert_allclose(flat(product), dense @ flat(vectors), atol=1e-13)
    assert np.linalg.eigvalsh(dense)[0] > -1e-13


def test_it_is_the_hessian_where_outputs_are_linear_in_the_weights(rng):
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    w, v = tf.Variable(rng.normal(size=(3, 2))), rng.normal(size=(3, 2))

    def loss(outputs):
        return tf.reduce_sum((outputs - y) ** 4)

    (product,) = gauss_newton_vector_product(lambda: x @ w, loss, [w], [v])
    (hessian,) = hessian_vector_product(lambda: loss(x @ w), [w], [v])
    assert_allclose(product, hessian, rtol=1e-12)


def test_several_outputs_add_their_parts():
    w = tf.Variable([1.0, 2.0])

    def loss(outputs):
        return (
            tf.reduce_sum(outputs["a"] ** 2) + tf.reduce_sum(outputs["b"] ** 2)
        ) / 2

    (product,) = gauss_newton_vector_product(
        lambda: {"a": w**2, "b": 3 * w}, loss, [w], [[1.0, 1.0]]
    )
    assert_allclose(product, [4 + 9, 16 + 9])  # diag(2w)² + 3²


def test_an_output_that_the_loss_leaves_out_adds_nothing():
    w = tf.Variable([1.0, 2.0])
    (product,) = gauss_newton_vector_product(
        lambda: [w**2, w],
        lambda outputs: tf.reduce_sum(outputs[0] ** 2) / 2,
        [w],
        [[1.0, 1.0]],
    )
    assert_allclose(product, [4, 16])


@pytest.mark.parametrize(
    "loss, message",
    [
        (lambda outputs: tf.reduce_sum(outputs), "linear in them"),
        (lambda outputs: tf.constant(1.0), "does not depend on them"),
        (lambda outputs: outputs**2, r"must return a scalar.*\(2,\)"),
    ],
    ids=["linear", "constant", "vector"],
)
def test_a_loss_without_gauss_newton_matrix_is_refused(loss, message):
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=message):
        gauss_newton_vector_product(lambda: w**2, loss, [w], [[1.0, 1.0]])


def test_a_vector_of_another_shape_is_refused():
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="shape of its variable"):
        gauss_newton_vector_product(
            lambda: w**2, lambda o: tf.reduce_sum(o**2), [w], [[1.0]]
        )
