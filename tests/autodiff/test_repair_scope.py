"""What the repair touches, and what it must leave alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import registry
from tensorflow.python.ops import nn_impl

from keras_curvature.autodiff import (
    CurvatureTape,
    GradientGraph,
    hessian_vector_product,
)

V = tf.constant(np.random.default_rng(1).normal(size=(4, 3)))
C = tf.constant(np.cos(np.arange(12.0)).reshape(4, 3))


@pytest.fixture
def w():
    rng = np.random.default_rng(0)
    return tf.Variable(rng.normal(size=(4, 3)))


def gradient(loss, w):
    with tf.GradientTape() as tape:
        value = loss()
    return tape.gradient(value, w)


def central_difference(loss, w, h=1e-4):
    def at(step):
        before = w.numpy()
        w.assign_add(step * V)
        result = gradient(loss, w).numpy()
        w.assign(before)
        return result

    coarse, fine = ((at(step) - at(-step)) / (2 * step) for step in (h, h / 2))
    return (4 * fine - coarse) / 3


def by_graph(loss, w, **options):
    @tf.function(autograph=False, **options)
    def product():
        graph = GradientGraph([gradient(loss, w)], [w])
        return graph.hessian_vector_product([V])[0]

    return product().numpy()


def by_tapes(loss, w):
    return hessian_vector_product(loss, [w], [V])[0].numpy()


def by_tapes_in_function(loss, w):
    return tf.function(by_tapes_symbolic, autograph=False)(loss, w).numpy()


def by_tapes_symbolic(loss, w):
    return hessian_vector_product(loss, [w], [V])[0]


def normalized(x):
    mean, variance = tf.nn.moments(x, [1], keepdims=True)
    return tf.tanh((x - mean) / tf.sqrt(variance + 0.1))


def cond(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: normalized(x), lambda: x)


def loop(x):
    return tf.while_loop(
        lambda i, _: i < 2,
        lambda i, a: [i + 1, normalized(2 * a)],
        [0, x],
        maximum_iterations=2,
    )[1]


inner_function = tf.function(normalized)
PLACES = {
    "plain": normalized,
    "cond": cond,
    "while_loop": loop,
    "function": inner_function,
    "function in function": tf.function(lambda x: inner_function(2 * x)),
    "loop in function": tf.function(loop),
    "map": lambda x: tf.map_fn(lambda row: normalized(row[None])[0], x),
}


@pytest.mark.parametrize("place", PLACES)
def test_moments_are_exact_wherever_they_are_computed(place, w):
    def loss():
        return tf.reduce_sum(C * PLACES[place](w * w)) ** 2

    truth = central_difference(loss, w)
    scale = np.abs(truth).max()
    for way in (by_graph, by_tapes, by_tapes_in_function):
        np.testing.assert_allclose(
            way(loss, w), truth, rtol=0, atol=1e-7 * scale, err_msg=str(way)
        )
    np.testing.assert_allclose(
        by_graph(loss, w, jit_compile=True), truth, rtol=0, atol=1e-7 * scale
    )


@pytest.mark.parametrize("place", ["plain", "cond", "function"])
def test_moments_of_a_variable_itself_are_exact(place, w):
    """Which is read twice: for the mean, and for the distance to it."""

    def loss():
        return tf.reduce_sum(C * PLACES[place](w)) ** 2

    truth = central_difference(loss, w)
    scale = np.abs(truth).max()
    for way in (by_graph, by_tapes, by_tapes_in_function):
        np.testing.assert_allclose(
            way(loss, w), truth, rtol=0, atol=1e-7 * scale, err_msg=str(way)
        )


def test_a_function_differentiated_before_without_repair_is_exact_after(w):
    function = tf.function(normalized)

    def loss():
        return tf.reduce_sum(C * function(w * w)) ** 2

    with tf.GradientTape() as outer:
        inner = gradient(loss, w)
    plain = outer.gradient(inner, w, output_gradients=V).numpy()
    truth = central_difference(loss, w)
    scale = np.abs(truth).max()
    assert np.abs(plain - truth).max() > 1e-3 * scale, "TensorFlow is right now"
    for way in (by_graph, by_tapes, by_tapes_in_function):
        assert np.abs(way(loss, w) - truth).max() <= 1e-7 * scale, way


@pytest.mark.parametrize("way", [by_graph, by_tapes, by_tapes_in_function])
def test_a_users_stop_gradient_keeps_its_meaning(way, w):
    """Even one in a scope "moments" that looks like TensorFlow's."""

    def loss():
        with tf.name_scope("moments"):
            mean = tf.reduce_mean(w, 1, keepdims=True, name="mean")
            stopped = tf.stop_gradient(mean)
            return tf.reduce_sum(tf.math.squared_difference(w, stopped))

    np.testing.assert_allclose(way(loss, w), 2 * V.numpy(), rtol=1e-12)


def test_nothing_is_replaced_when_no_product_is_taken(w):
    moments, lookup = nn_impl.moments, registry.Registry.lookup
    layer = dict(vars(keras.layers.BatchNormalization))

    def as_it_was():
        return (
            nn_impl.moments is moments
            and registry.Registry.lookup is lookup
            and dict(vars(keras.layers.BatchNormalization)) == layer
        )

    by_graph(lambda: tf.reduce_sum(w**3), w)
    assert as_it_was()
    with CurvatureTape(), CurvatureTape():
        assert not as_it_was()
    assert as_it_was()
    with pytest.raises(ZeroDivisionError), CurvatureTape():
        raise ZeroDivisionError
    assert as_it_was()


def test_first_order_training_is_untouched_to_the_last_bit():
    x = np.random.default_rng(2).normal(size=(16, 4)).astype("float32")

    def train():
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(4),
                keras.layers.BatchNormalization(),
                keras.layers.LayerNormalization(),
                keras.layers.Dense(1, activation="softsign"),
            ]
        )
        model.compile("adam", "mse")
        model.fit(x, x[:, :1], epochs=2, verbose=0)
        return model

    first = train()
    weights = first.get_weights()
    v = [tf.ones_like(value) for value in first.trainable_variables]
    hessian_vector_product(
        lambda: tf.reduce_sum(first(x, training=True)),
        first.trainable_variables,
        v,
    )
    for a, b in zip(weights, train().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_traced_function_keeps_its_first_gradient_to_the_last_bit(w):
    """Also where its trace and its gradient were made while repairs held.

    Differentiating a function twice changes the rounding of its first
    gradient in TensorFlow already, because its trace then returns more.
    """

    def twice(function):
        with tf.GradientTape() as outer:
            inner = first(function)
        return outer.gradient(inner, w)

    def first(function):
        return gradient(lambda: tf.reduce_sum(C * function(w)) ** 2, w)

    plain, used = tf.function(normalized), tf.function(normalized)
    by_tapes(lambda: tf.reduce_sum(C * used(w)) ** 2, w)
    by_graph(lambda: tf.reduce_sum(C * used(w)) ** 2, w)
    twice(plain)
    np.testing.assert_array_equal(first(plain).numpy(), first(used).numpy())
    assert np.array_equal(twice(plain).numpy(), twice(used).numpy()), (
        "plain nested tapes are TensorFlow's, wrong as they are"
    )
