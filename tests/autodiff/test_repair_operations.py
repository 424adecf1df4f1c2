"""Operations outside Keras's layers whose second derivative is mended."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import GradientGraph, hessian_vector_product

RNG = np.random.default_rng(4)
V = RNG.normal(size=(3, 3))


def single(x):
    return tf.cast(x, tf.float32)


OPERATIONS = {
    "dilation2d": lambda w: tf.nn.dilation2d(
        tf.reshape(w * w, (1, 3, 3, 1)),
        tf.reshape(tf.sin(w[:2, :2]), (2, 2, 1)),
        (1, 1, 1, 1),
        "SAME",
        "NHWC",
        (1, 1, 1, 1),
    ),
    "dilation2d, rates and strides": lambda w: tf.nn.dilation2d(
        tf.tile(tf.reshape(w * w, (1, 3, 3, 1)), (1, 2, 2, 1)),
        tf.reshape(tf.sin(w[:2, :2]), (2, 2, 1)),
        (1, 2, 2, 1),
        "VALID",
        "NHWC",
        (1, 2, 2, 1),
    ),
    "softmax cross-entropy by labels": lambda w: (
        tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(w), w * w)
    ),
    "softsign": lambda w: tf.nn.softsign(w * w),
}
SINGLE = {
    "local_response_normalization": lambda w: tf.nn.lrn(
        tf.reshape(single(w * w), (1, 1, 3, 3)), 1, 0.5, 0.7, 0.6
    ),
    "crop_and_resize": lambda w: tf.image.crop_and_resize(
        tf.reshape(single(w * w), (1, 3, 3, 1)),
        [[0.1, 0.15, 0.8, 0.9]],
        [0],
        (4, 4),
    ),
    "resize nearest": lambda w: tf.image.resize(
        tf.reshape(single(w * w), (1, 3, 3, 1)), (5, 4), "nearest"
    ),
    "scale and translate": lambda w: tf.image.resize(
        tf.reshape(single(w * w), (1, 3, 3, 1)), (5, 4), "gaussian"
    ),
}


def objective(function, w):
    output = tf.cast(function(w), tf.float64)
    places = tf.cast(tf.range(tf.size(output)), tf.float64)
    return tf.reduce_sum(tf.cos(places) * tf.reshape(output, [-1]) ** 2) ** 2


def gradient(function, w):
    with tf.GradientTape() as tape:
        value = objective(function, w)
    return tape.gradient(value, w)


def central_difference(function, w, h):
    def at(step):
        before = w.numpy()
        w.assign_add(step * V)
        result = gradient(function, w).numpy()
        w.assign(before)
        return result

    coarse, fine = ((at(s) - at(-s)) / (2 * s) for s in (h, h / 2))
    return (4 * fine - coarse) / 3


def products(function, w):
    def graph():
        curvature = GradientGraph([gradient(function, w)], [w])
        return curvature.hessian_vector_product([tf.constant(V)])[0]

    def tapes():
        return hessian_vector_product(
            lambda: objective(function, w), [w], [tf.constant(V)]
        )[0]

    yield tf.function(graph, autograph=False)()
    yield tf.function(tapes, autograph=False)()
    yield tapes()


@pytest.mark.parametrize("name", [*OPERATIONS, *SINGLE])
def test_hessian_products_equal_central_differences(name):
    w = tf.Variable(RNG.uniform(0.5, 1.5, size=(3, 3)))
    function = {**OPERATIONS, **SINGLE}[name]
    # Kernels of single precision resolve no more.
    step, tolerance = (2e-2, 3e-3) if name in SINGLE else (1e-4, 1e-8)
    truth = central_difference(function, w, step)
    for product in products(function, w):
        np.testing.assert_allclose(
            product, truth, rtol=0, atol=tolerance * np.abs(truth).max()
        )
