"""Where TensorFlow is right, repairs change no bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import exact_derivatives

ops = keras.ops


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


def value_and_gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return value, tape.gradient(value, x)


def test_where_tensorflow_is_right_nothing_changes(rng):
    x = tf.constant(rng.normal(size=(30, 5)), tf.float32)
    # Labels that add up to 1 but for their rounding.
    labels = tf.nn.softmax(tf.constant(rng.normal(size=(30, 5)), tf.float32))
    numpy = tf.experimental.numpy
    for function in (
        lambda x: tf.nn.softmax_cross_entropy_with_logits(labels, x),
        lambda x: tf.nn.weighted_cross_entropy_with_logits(labels, x, 1.7),
        lambda x: numpy.logaddexp(x, labels),
        lambda x: numpy.logaddexp2(x, labels),
    ):
        expected = value_and_gradient(function, x)
        with exact_derivatives():
            measured = value_and_gradient(function, x)
        for a, b in zip(measured, expected, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
