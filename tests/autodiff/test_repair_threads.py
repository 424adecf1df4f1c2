"""Threads that repair, beside threads that see TensorFlow as it is."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import exact_derivatives, hessian_vector_product

V = tf.constant(np.random.default_rng(1).normal(size=(4, 3)))
C = tf.constant(np.cos(np.arange(12.0)).reshape(4, 3))


@pytest.fixture
def w():
    rng = np.random.default_rng(0)
    return tf.Variable(rng.normal(size=(4, 3)))


def normalized(x):
    mean, variance = tf.nn.moments(x, [1], keepdims=True)
    return tf.tanh((x - mean) / tf.sqrt(variance + 0.1))


def plain(function, w):
    """H·V by TensorFlow's nested tapes, which are wrong here."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            value = tf.reduce_sum(C * function(w)) ** 2
        gradient = inner.gradient(value, w)
    return outer.gradient(gradient, w, output_gradients=V).numpy()


def repaired(function, w):
    """H·V by the nested tapes of this package."""
    return hessian_vector_product(
        lambda: tf.reduce_sum(C * function(w)) ** 2, [w], [V]
    )[0].numpy()


def test_another_thread_sees_tensorflow_as_it_is(w):
    during = []
    before = plain(normalized, w)
    with exact_derivatives():
        thread = threading.Thread(
            target=lambda: during.append(plain(normalized, w))
        )
        thread.start()
        thread.join()
    np.testing.assert_array_equal(before, during[0])


def test_threads_that_share_a_function_do_not_share_its_gradient(w):
    """One repaired, one plain, both again and again at the same time."""
    shared, alone = tf.function(normalized), tf.function(normalized)
    expected = {way: way(alone, w) for way in (plain, repaired)}
    assert np.abs(expected[plain] - expected[repaired]).max() > 1e-3
    seen = {plain: [], repaired: []}
    start = threading.Barrier(2)

    def repeat(way):
        start.wait()
        seen[way] += [way(shared, w) for _ in range(10)]

    threads = [threading.Thread(target=repeat, args=(way,)) for way in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for way, products in seen.items():
        assert len(products) == 10
        for product in products:
            np.testing.assert_allclose(
                product, expected[way], rtol=0, atol=1e-12
            )
