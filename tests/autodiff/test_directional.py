"""Second derivatives of outputs along a step of the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from keras_curvature.autodiff import (
    SecondDerivativeError,
    jacobian_vector_product,
)
from keras_curvature.autodiff.directional import SecondDirectionalDerivative
from tests.oracles import (
    extrapolated_difference,
    flat,
    random_like,
    values_of,
)

MODES = {
    "eager": lambda function: function,
    "graph": tf.function(autograph=False),
    "jit": tf.function(jit_compile=True, autograph=False),
}
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


@modes
def test_an_exponential_has_its_closed_form(mode, rng):
    x, v = rng.normal(size=(5, 3)), rng.normal(size=3)
    w = tf.Variable(rng.normal(size=3))
    along = mode(
        lambda: (
            SecondDirectionalDerivative(
                lambda: tf.exp(tf.linalg.matvec(x, w)), [w], [v]
            ).value
        )
    )
    assert_allclose(along(), np.exp(x @ w.numpy()) * (x @ v) ** 2, rtol=1e-13)


@modes
def test_two_variables_count_with_their_mixed_derivative(mode, rng):
    a, b = tf.Variable(rng.normal(size=4)), tf.Variable(rng.normal(size=4))
    u, v = rng.normal(size=(2, 4))
    along = mode(
        lambda: (
            SecondDirectionalDerivative(lambda: a * b**2, [a, b], [u, v]).value
        )
    )
    expected = 4 * u * b.numpy() * v + 2 * a.numpy() * v**2
    assert_allclose(along(), expected, rtol=1e-13)


LAYERS = {
    "LSTM": lambda: keras.layers.LSTM(3),
    "LayerNormalization": lambda: keras.Sequential(
        [keras.layers.Dense(3), keras.layers.LayerNormalization()]
    ),
    "grouped Conv1D": lambda: keras.layers.Conv1D(
        2, 2, groups=2, activation="tanh"
    ),
    "MultiHeadAttention": lambda: keras.layers.MultiHeadAttention(2, 2),
    "Embedding": lambda: keras.Sequential(
        [
            keras.layers.Lambda(lambda x: tf.cast(x > 0, "int32")),
            keras.layers.Embedding(2, 3),
            keras.layers.Lambda(tf.exp),
        ]
    ),
}


def outputs_of(name, rng):
    """A function without arguments, and the variables of its layer."""
    x = tf.constant(rng.normal(size=(2, 4, 4)))
    layer = LAYERS[name]()
    inputs = (x, x) if name == "MultiHeadAttention" else (x,)
    layer(*inputs)
    return lambda: layer(*inputs), layer.trainable_variables


@pytest.mark.parametrize("name", LAYERS)
def test_value_is_the_change_of_the_product_with_the_jacobian(
    name, float64, rng
):
    outputs, variables = outputs_of(name, rng)
    vectors = [tf.constant(v) for v in random_like(variables)]

    def value():
        return SecondDirectionalDerivative(outputs, variables, vectors).value

    eager, graph = value(), tf.function(value, autograph=False)()
    sources = values_of(variables)
    start = [tf.identity(s) for s in sources]
    product = tf.function(
        lambda: jacobian_vector_product(outputs, variables, vectors),
        autograph=False,
    )

    def pushed(distance):
        for source, origin, v in zip(sources, start, vectors, strict=True):
            source.assign(origin + distance * v)
        return product().numpy()

    expected, error = extrapolated_difference(pushed, [1e-2, 1e-3], 1e-9)
    largest = np.abs(expected).max()
    assert error < 1e-7 * largest
    for ours in (eager, graph):
        assert_allclose(ours, expected, rtol=1e-6, atol=1e-7 * largest)


@pytest.mark.parametrize("name", ["MultiHeadAttention", "Embedding"])
def test_vector_jacobian_product_is_that_of_the_dense_jacobian(
    name, float64, rng
):
    outputs, variables = outputs_of(name, rng)
    with tf.GradientTape(persistent=True) as tape:
        values = outputs()
    blocks = tape.jacobian(
        values,
        values_of(variables),
        experimental_use_pfor=False,
        unconnected_gradients="zero",
    )
    size = int(tf.size(values))
    dense = np.concatenate([np.reshape(b, (size, -1)) for b in blocks], 1)
    (u,) = random_like([values])

    @tf.function(autograph=False)
    def product():
        along = SecondDirectionalDerivative(
            outputs, variables, random_like(variables)
        )
        return [
            tf.convert_to_tensor(g) for g in along.vector_jacobian_product(u)
        ]

    assert_allclose(flat(product()), flat([u]) @ dense, atol=1e-13)


@modes
def test_a_linear_model_has_exactly_none(mode, rng):
    x, v = rng.normal(size=(5, 3)), rng.normal(size=(3, 2))
    w = tf.Variable(rng.normal(size=(3, 2)))
    along = mode(
        lambda: SecondDirectionalDerivative(lambda: x @ w, [w], [v]).value
    )
    assert_array_equal(along(), np.zeros((5, 2)))


def test_a_variable_without_influence_counts_as_zero():
    w, unused = tf.Variable([1.0, 2.0]), tf.Variable([1.0])
    along = SecondDirectionalDerivative(
        lambda: w**3, [w, unused], [tf.ones(2), tf.ones(1)]
    )
    assert_allclose(along.value, [6, 12])
    pulled = along.vector_jacobian_product(tf.ones(2))
    assert_allclose(pulled[0], [3, 12])
    assert_array_equal(pulled[1], [0])


def test_outputs_without_any_variable_have_none():
    w = tf.Variable([1.0, 2.0])
    along = SecondDirectionalDerivative(
        lambda: tf.constant([3.0]), [w], [tf.ones(2)]
    )
    assert_array_equal(along.value, [0])


@modes
def test_what_has_no_exact_second_derivative_is_an_error(mode):
    image = np.ones((1, 4, 4, 1), "float32")
    w = tf.Variable(1.0)

    def outputs():
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=image * w,
            transforms=[[1.0, 0.5, 0, 0, 1, 0, 0, 0]],
            output_shape=(4, 4),
            fill_value=0.0,
            interpolation="BILINEAR",
        )

    along = mode(
        lambda: SecondDirectionalDerivative(outputs, [w], [tf.ones(())]).value
    )
    with pytest.raises(SecondDerivativeError, match="not the gradient of any"):
        along()
