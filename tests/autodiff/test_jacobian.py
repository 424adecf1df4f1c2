"""Products with the Jacobian of outputs by variables."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_curvature.autodiff import (
    jacobian_vector_product,
    vector_jacobian_product,
)
from tests.oracles import flat, random_like, values_of


def linear(rng):
    x = rng.normal(size=(5, 3))
    w = tf.Variable(rng.normal(size=(3, 2)))
    return x, w, lambda: x @ w


@pytest.mark.parametrize("jit", [False, True])
def test_products_of_a_linear_model_are_those_with_its_matrix(jit, rng):
    x, w, outputs = linear(rng)
    v, u = rng.normal(size=(3, 2)), rng.normal(size=(5, 2))

    @tf.function(jit_compile=jit)
    def products():
        return (
            jacobian_vector_product(outputs, [w], [v]),
            vector_jacobian_product(outputs, [w], u),
        )

    jv, (ju,) = products()
    assert_allclose(jv, x @ v, rtol=1e-13)
    assert_allclose(ju, x.T @ u, rtol=1e-13)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.LSTM(3),
        lambda: keras.layers.Conv1D(4, 2, groups=2),
        lambda: keras.layers.MultiHeadAttention(2, 2),
    ],
    ids=["LSTM", "grouped Conv1D", "MultiHeadAttention"],
)
def test_products_are_those_with_the_dense_jacobian(layer, float64, rng):
    x = tf.constant(rng.normal(size=(2, 4, 4)))
    layer = layer()
    attends = isinstance(layer, keras.layers.MultiHeadAttention)

    @tf.function
    def outputs():
        return layer(x, x) if attends else layer(x)

    outputs()
    variables = layer.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        values = outputs()
    blocks = tape.jacobian(
        values, values_of(variables), experimental_use_pfor=False
    )
    size = int(tf.size(values))
    dense = np.concatenate([np.reshape(b, (size, -1)) for b in blocks], 1)
    vectors = random_like(variables)
    (cotangent,) = random_like([values])
    assert_allclose(
        flat([jacobian_vector_product(outputs, variables, vectors)]),
        dense @ flat(vectors),
        atol=1e-13,
    )
    assert_allclose(
        flat(vector_jacobian_product(outputs, variables, cotangent)),
        flat([cotangent]) @ dense,
        atol=1e-13,
    )


def test_outputs_may_be_a_structure():
    a, b = tf.Variable([1.0, 2.0]), tf.Variable(3.0)

    def outputs():
        return {"square": a**2, "both": [a * b, tf.constant(1.0)]}

    pushed = jacobian_vector_product(outputs, [a, b], [[1.0, 1.0], 1.0])
    assert_allclose(pushed["square"], [2, 4])
    assert_allclose(pushed["both"][0], [3 + 1, 3 + 2])
    assert_allclose(pushed["both"][1], 0)
    pulled = vector_jacobian_product(
        outputs,
        [a, b],
        {"square": tf.ones(2), "both": [tf.ones(2), tf.ones(())]},
    )
    assert_allclose(pulled[0], [2 + 3, 4 + 3])
    assert_allclose(pulled[1], 1 + 2)


def test_an_embedding_row_that_is_read_twice_counts_twice():
    table = tf.Variable([[1.0], [2.0], [3.0]])

    def outputs():
        return tf.gather(table, [2, 0, 2])

    pushed = jacobian_vector_product(outputs, [table], [[[5.0], [6.0], [7.0]]])
    assert_allclose(pushed, [[7], [5], [7]])
    pulled = vector_jacobian_product(outputs, [table], tf.ones((3, 1)))
    assert_allclose(pulled[0], [[1], [0], [2]])


def test_a_vector_of_none_counts_as_zero():
    a, b = tf.Variable(2.0), tf.Variable(3.0)
    assert jacobian_vector_product(lambda: a * b, [a, b], [None, 1.0]) == 2.0


def test_python_numbers_keep_their_float64_digits():
    w = tf.Variable(1.0, dtype="float64")
    assert jacobian_vector_product(lambda: w * 1, [w], [0.1]) == 0.1
    assert vector_jacobian_product(lambda: w * 1, [w], 0.1)[0] == 0.1


@pytest.mark.parametrize(
    "product, given",
    [
        (jacobian_vector_product, [[1.0, 1.0], 1.0]),
        (vector_jacobian_product, tf.ones(2)),
    ],
)
def test_a_variable_without_influence_is_named(product, given):
    w, unused = tf.Variable([1.0, 2.0]), tf.Variable(1.0, name="unused")
    with pytest.raises(ValueError, match=r"outputs.*no gradient for unused"):
        product(lambda: w**2, [w, unused], given)


@pytest.mark.parametrize("vectors", [[[1.0]], [[1.0, 1.0, 1.0]], [1.0]])
def test_vectors_of_another_shape_are_refused(vectors):
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="shape of its variable"):
        jacobian_vector_product(lambda: w**2, [w], vectors)


def test_another_number_of_vectors_is_refused():
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="2 vectors for 1 variables"):
        jacobian_vector_product(lambda: w**2, [w], [[1.0, 1.0]] * 2)


@pytest.mark.parametrize("cotangents", [1.0, [1.0], [1.0, 1.0, 1.0]])
def test_cotangents_of_another_shape_are_refused(cotangents):
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="shapes of the outputs"):
        vector_jacobian_product(lambda: w**2, [w], cotangents)
