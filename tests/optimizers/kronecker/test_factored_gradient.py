"""Gradients taken for products of inputs and signals are those products."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_curvature.operators.kronecker.layout import Block, Layout
from keras_curvature.optimizers._kronecker.factored_gradient import (
    FactoredGradient,
)

L = keras.layers
INPUTS, OUTPUTS = 9, 6


def block(bias=1, **options):
    layout = Layout((INPUTS, OUTPUTS)).reshape(1, INPUTS, OUTPUTS)
    return Block(0, layout, bias, **options)


def symmetric(rng, size):
    root = rng.normal(size=(1, size, size))
    return tf.constant(root @ root.transpose(0, 2, 1))


def in_graph(layer, function, samples=None):
    """Calls `function(gradients)` where a step with the layer is traced."""

    @tf.function(input_signature=[tf.TensorSpec((samples, INPUTS), tf.float64)])
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(x))) + sum(layer.losses)
        gradients = tape.gradient(loss, layer.trainable_variables)
        return function([tf.convert_to_tensor(g) for g in gradients])

    return step


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize("count", [1, 4, 5, 40])
def test_the_direction_is_that_of_the_product(known, count, rng, float64):
    """Of few samples by their rows, of many by the product itself."""
    layer = L.Dense(OUTPUTS, "tanh")
    layer.build((None, INPUTS))
    left, right = symmetric(rng, INPUTS + 1), symmetric(rng, OUTPUTS)
    own = block()

    def directions(gradients):
        whole = left @ own.join(gradients) @ right
        factored = FactoredGradient.of(own, gradients)
        # The other way shows by a number that it is not.
        return whole, factored.preconditioned(left, right, lambda: whole + 1)

    step = in_graph(layer, directions, count if known else None)
    whole, direction = step(tf.constant(rng.normal(size=(count, INPUTS))))
    # 196 multiplications a sample, and 960 for the product of 10 by 6.
    expected = whole if count < 5 else whole + 1
    assert_allclose(direction, expected, rtol=1e-12)


OTHERS = {
    "a regularizer": (
        lambda: L.Dense(OUTPUTS, kernel_regularizer="l2"),
        {},
    ),
    "the same inputs twice": (
        lambda: Twice(L.Dense(OUTPUTS)),
        {},
    ),
    "a bias of its own": (lambda: OwnBias(), {}),
    "a diagonal": (lambda: L.Dense(OUTPUTS), {"has_dense_inputs": False}),
    "half precision": (
        lambda: L.Dense(OUTPUTS, dtype="mixed_bfloat16"),
        {},
    ),
}


class Twice(L.Layer):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        return self.layer(x) + self.layer(2 * x)


class OwnBias(L.Layer):
    """The bias also acts elsewhere, so its gradient is another sum."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(INPUTS, OUTPUTS))
        self.bias = self.add_weight(shape=(OUTPUTS,))

    def call(self, x):
        bias = tf.convert_to_tensor(self.bias)
        return tf.nn.bias_add(x @ self.kernel, bias) + bias**2


@pytest.mark.parametrize("kind", OTHERS)
def test_other_gradients_are_not_taken_for_products(kind, float64):
    make, options = OTHERS[kind]
    layer = make()
    layer(np.ones((1, INPUTS)))
    found = []

    def function(gradients):
        found.append(FactoredGradient.of(block(**options), gradients))
        return gradients

    in_graph(layer, function)(tf.ones((2, INPUTS), tf.float64))
    assert found == [None]
