"""Activation(fn): tapes as derivatives, and every cut gradient refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.layers import Activation

X = tf.constant([-1.5, -0.25, 0.5, 2.0], tf.float64)


def test_derivatives_of_a_polynomial_are_the_closed_form():
    layer = Activation(lambda x: x**3 - 2.0 * x)
    np.testing.assert_allclose(layer(X), X**3 - 2 * X, rtol=1e-15)
    np.testing.assert_allclose(layer.first_derivative(X), 3 * X**2 - 2)
    np.testing.assert_allclose(layer.second_derivative(X), 6 * X)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_derivatives_work_inside_a_graph_and_differentiate_on(jit_compile):
    layer = Activation(lambda x: x**4)

    @tf.function(jit_compile=jit_compile)
    def third(x):
        return tf.gradients(layer.second_derivative(x), [x])[0]

    np.testing.assert_allclose(third(X), 24 * X, rtol=1e-14)


PIECEWISE_LINEAR = {
    "linear": lambda x: 3.0 * x + 1.0,
    "relu": tf.nn.relu,
    "where": lambda x: tf.where(x > 0, x, 0.1 * x),
    "abs": tf.abs,
    "hard_sigmoid": keras.activations.hard_sigmoid,
    "clip": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "triangle wave": lambda x: tf.abs(x - 2.0 * tf.round(0.5 * x)),
}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
def test_piecewise_linear_functions_have_second_derivative_zero(name, graph):
    layer = Activation(PIECEWISE_LINEAR[name])
    second = layer.second_derivative
    if graph:
        second = tf.function(second)
    np.testing.assert_array_equal(second(X), tf.zeros_like(X))


@tf.custom_gradient
def _square_with_a_cut_backward(x):
    def gradient(dy):
        return dy * tf.numpy_function(lambda v: 2.0 * v, [x], x.dtype)

    return x * x, gradient


CUT_TWICE = {
    "stop_gradient": lambda x: x * tf.stop_gradient(x),
    "numpy in the backward pass": _square_with_a_cut_backward,
}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("name", CUT_TWICE)
def test_a_cut_second_derivative_is_an_error_not_zero(name, graph):
    layer = Activation(CUT_TWICE[name])
    second = layer.second_derivative
    if graph:
        second = tf.function(second)
    with pytest.raises(ValueError, match=r"second derivative .* unconnected"):
        second(X)


@pytest.mark.parametrize(
    "function",
    [
        tf.stop_gradient,
        lambda x: tf.cast(tf.cast(x, tf.int32), x.dtype),
        lambda x: tf.numpy_function(np.sin, [x], x.dtype),
    ],
)
def test_a_cut_first_derivative_is_an_error(function):
    with pytest.raises(ValueError, match=r"first derivative .* unconnected"):
        Activation(function).first_derivative(X)


def test_functions_that_change_shape_or_dtype_are_refused():
    for function in (tf.reduce_sum, lambda x: tf.cast(x, tf.float32)):
        with pytest.raises(ValueError, match="shape and dtype of its input"):
            Activation(function)(X)


def test_functions_that_mix_elements_have_no_derivative_here():
    for name in ("softmax", "log_softmax"):
        layer = Activation(name)
        np.testing.assert_array_equal(
            layer(X[None]), getattr(keras.activations, name)(X[None])
        )
        with pytest.raises(ValueError, match="must be elementwise"):
            layer.first_derivative(X)


@keras.saving.register_keras_serializable(package="tests")
def bent_identity(x):
    return 0.5 * (tf.sqrt(x * x + 1.0) - 1.0) + x


def test_names_and_registered_functions_survive_serialization():
    for activation in ("tanh", bent_identity):
        layer = Activation(activation)
        config = keras.saving.serialize_keras_object(layer)
        copy = keras.saving.deserialize_keras_object(config)
        assert copy.activation is layer.activation


def test_bad_arguments_name_the_argument_and_the_way_out():
    from keras_curvature import layers

    for build, message in (
        (lambda: layers.LeakyReLU(None), "negative_slope=None"),
        (lambda: layers.LeakyReLU(float("nan")), "finite number"),
        (lambda: layers.ELU(alpha="2"), "alpha='2'"),
        (lambda: layers.Sine(frequency=0.0), "finite number > 0"),
        (lambda: layers.Sine(frequency=float("inf")), "finite number"),
        (lambda: layers.GELU(approximate="tanh"), "True or False"),
        (lambda: Activation(3), "activation"),
    ):
        with pytest.raises(ValueError, match=message):
            build()
