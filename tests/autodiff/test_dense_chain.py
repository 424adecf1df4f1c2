"""Networks of dense layers, beside the ways for any model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import per_sample_jacobian
from keras_curvature.autodiff.dense_layers import (
    dense_chain,
    is_of_dense_layers,
)
from keras_curvature.autodiff.directional import SecondDirectionalDerivative

ACTIVATIONS = ["tanh", "sigmoid", "gelu", "softplus", "exponential", "elu"]


def network(*layers, inputs=2):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((inputs,)), *layers])
    for variable in model.trainable_variables:
        variable.assign(keras.random.normal(variable.shape) / 2)
    return model


def dense(units, activation=None, **options):
    return keras.layers.Dense(units, activation=activation, **options)


NETWORKS = {
    **{
        activation: lambda activation=activation: network(
            dense(4, activation), dense(3, activation), dense(2)
        )
        for activation in ACTIVATIONS
    },
    "one output": lambda: network(dense(5, "tanh"), dense(1)),
    "one layer": lambda: network(dense(3)),
    "activated outputs": lambda: network(dense(3, "tanh"), dense(2, "sigmoid")),
    "without bias": lambda: network(
        dense(3, "tanh", use_bias=False), dense(2, use_bias=False)
    ),
    "linear layers": lambda: network(dense(3), dense(4, "tanh"), dense(2)),
}


pytestmark = pytest.mark.usefixtures("float64")


def draw(*shape):
    return tf.random.stateless_normal(shape, (3, 4), dtype=tf.float64)


@pytest.mark.parametrize("batch", [6, None], ids=["known", "unknown"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_it_has_the_derivatives_of_the_ways_for_any_model(kind, batch):
    model = NETWORKS[kind]()
    variables = model.trainable_variables
    x = draw(6, 2)
    vectors = [draw(*v.shape) for v in variables]
    width = model.output_shape[1]
    u, rows = draw(6, width), draw(6, 3, width)

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec((batch, 2), "float64")]
    )
    def derivatives(x):
        chain = dense_chain(model(x), x, variables)
        return (
            chain.rows(rows),
            chain.vector_jacobian_product(u),
            chain.jacobian_vector_product(vectors),
            chain.second_derivative(vectors),
        )

    products, pulled, pushed, second = derivatives(x)
    _, jacobians = per_sample_jacobian(model, x, variables)
    jacobians = [np.reshape(j, (6, width, -1)) for j in jacobians]
    along = SecondDirectionalDerivative(lambda: model(x), variables, vectors)
    expected_pushed = sum(
        j @ np.ravel(v) for j, v in zip(jacobians, vectors, strict=True)
    )
    np.testing.assert_allclose(second, along.value, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(pushed, expected_pushed, rtol=1e-12, atol=1e-13)
    for j, p, by_rows in zip(jacobians, pulled, products, strict=True):
        np.testing.assert_allclose(
            by_rows, np.asarray(rows) @ j, rtol=1e-12, atol=1e-13
        )
        expected = np.einsum("bmn,bm->n", j, u)
        np.testing.assert_allclose(
            np.ravel(p), expected, rtol=1e-12, atol=1e-13
        )


class MeanOfBatch(keras.layers.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0)


class OffsetsOfSamples(keras.layers.Layer):
    """An offset for each of four samples."""

    def build(self, shape):
        self.offsets = self.add_weight(shape=(4, 3))

    def call(self, x):
        return x + self.offsets


@keras.saving.register_keras_serializable(package="tests")
def reversed_batch(x):
    return x + keras.ops.flip(x, axis=0)


class Slope(keras.Model):
    """The derivative of a network by its input, as equations have it."""

    def __init__(self):
        super().__init__()
        self.hidden, self.last = dense(3, "tanh"), dense(1)

    def call(self, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = self.last(self.hidden(x))
        return y + tape.gradient(y, x)[:, :1]


def tied():
    layer = dense(2, "tanh")
    return network(layer, layer)


def frozen():
    model = network(dense(3, "tanh"), dense(2))
    model.layers[0].trainable = False
    return model


def skip():
    x = keras.Input((2,))
    return keras.Model(x, x + dense(2)(dense(3, "tanh")(x)))


OTHERS = {
    "samples mixed": lambda: network(dense(3), MeanOfBatch(), dense(1)),
    "activation that mixes": lambda: network(dense(3, reversed_batch)),
    "offsets of samples": lambda: network(
        keras.layers.Dense(3, use_bias=False), OffsetsOfSamples()
    ),
    "normalized": lambda: network(
        dense(3), keras.layers.LayerNormalization(), dense(1)
    ),
    "softmax": lambda: network(dense(3, "softmax")),
    "derivatives inside": Slope,
    "tied layers": tied,
    "frozen layer": frozen,
    "skip connection": skip,
    "scaled by a weight": lambda: network(dense(3), keras.layers.PReLU()),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_models_are_none(kind):
    model = OTHERS[kind]()
    model(draw(4, 2))

    @tf.function(autograph=False)
    def found(x):
        return dense_chain(model(x), x, model.trainable_variables) is None

    assert found(draw(4, 2))


def test_what_was_computed_eagerly_is_none():
    model = network(dense(2))
    x = draw(4, 2)
    assert dense_chain(model(x), x, model.trainable_variables) is None


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_has_central_differences_of_the_outputs(kind):
    model = NETWORKS[kind]()
    variables = model.trainable_variables
    x, vectors = draw(6, 2), [draw(*v.shape) for v in variables]

    @tf.function(autograph=False)
    def derivatives(x):
        chain = dense_chain(model(x), x, variables)
        return (
            chain.jacobian_vector_product(vectors),
            chain.second_derivative(vectors),
        )

    first, second = derivatives(x)
    start, h = model.get_weights(), 1e-4
    y = []
    for t in (-h, 0, h):
        model.set_weights(
            [w + t * v for w, v in zip(start, vectors, strict=True)]
        )
        y.append(model(x).numpy())
    np.testing.assert_allclose(first, (y[2] - y[0]) / (2 * h), atol=1e-6)
    np.testing.assert_allclose(
        second, (y[2] - 2 * y[1] + y[0]) / h**2, atol=1e-6
    )


def slope_of_network():
    model = network(dense(4, "tanh"), dense(1))

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        return tape.gradient(y, x)

    return slope


def with_skip():
    model = network(dense(4, "tanh"), dense(1))
    return lambda x: x[:, :1] + model(x)


LOSSES = {
    "dense": (lambda: network(dense(4, "tanh"), dense(1)), True),
    "skipped": (with_skip, True),
    "derivatives": (slope_of_network, False),
    "normalized": (
        lambda: network(keras.layers.LayerNormalization(), dense(1)),
        False,
    ),
    "convolution": (
        lambda: network(
            keras.layers.Reshape((2, 1)), keras.layers.Conv1D(1, 2)
        ),
        False,
    ),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_it_is_told_whether_a_loss_is_of_dense_layers_alone(kind):
    make, expected = LOSSES[kind]
    loss, outputs = keras.losses.MeanSquaredError(), make()
    found = []

    @tf.function(autograph=False)
    def trace(x):
        found.append(is_of_dense_layers(loss(tf.zeros((6, 1)), outputs(x))))

    trace(draw(6, 2))
    assert found == [expected]
    assert not is_of_dense_layers(tf.constant(1.0))
