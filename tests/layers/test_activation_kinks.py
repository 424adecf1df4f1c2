"""Both sides of every kink, the point itself, and TensorFlow's choice."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature import layers

SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
H = 1e-300  # e^H = 1 in float64: the one-sided limits themselves

# layer, Keras's function, f' at −0, 0, +0, f'' at −0, 0, +0
KINKS = [
    (layers.ReLU(), keras.activations.relu, (0, 0, 1), (0, 0, 0)),
    (
        layers.LeakyReLU(0.25),
        lambda x: keras.activations.leaky_relu(x, 0.25),
        (0.25, 0.25, 1),
        (0, 0, 0),
    ),
    (layers.ELU(), keras.activations.elu, (1, 1, 1), (1, 0, 0)),
    (
        layers.ELU(alpha=0.5),
        lambda x: keras.activations.elu(x, 0.5),
        (0.5, 0.5, 1),
        (0.5, 0, 0),
    ),
    (
        layers.SELU(),
        keras.activations.selu,
        (SCALE * ALPHA, SCALE, SCALE),
        (SCALE * ALPHA, 0, 0),
    ),
]


def _through_tapes(function, x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        first = inner.gradient(y, x)
    return first, outer.gradient(first, x, unconnected_gradients="zero")


@pytest.mark.parametrize("layer, keras_function, first, second", KINKS)
def test_the_kink_and_both_its_sides(layer, keras_function, first, second):
    x = tf.constant([-H, 0.0, H], tf.float64)
    for got_first, got_second in (
        (layer.first_derivative(x), layer.second_derivative(x)),
        _through_tapes(layer, x),
    ):
        np.testing.assert_allclose(got_first, first, rtol=1e-15)
        np.testing.assert_allclose(got_second, second, rtol=1e-15)


@pytest.mark.parametrize("layer, keras_function, first, second", KINKS)
def test_tensorflow_chooses_the_same_at_the_kink(
    layer, keras_function, first, second
):
    zero = tf.constant([0.0], tf.float64)
    theirs = _through_tapes(keras_function, zero)
    # 1e-7: TensorFlow keeps the slope of leaky_relu and alpha in float32.
    np.testing.assert_allclose(theirs[0], first[1:2], rtol=1e-7)
    np.testing.assert_allclose(theirs[1], second[1:2], rtol=1e-7)


def test_softsign_jumps_and_takes_the_mean_at_zero():
    x = tf.constant([-H, 0.0, H], tf.float64)
    layer = layers.Softsign()
    np.testing.assert_array_equal(layer.second_derivative(x), [2.0, 0.0, -2.0])
    np.testing.assert_array_equal(_through_tapes(layer, x)[1], [2.0, 0.0, -2.0])
