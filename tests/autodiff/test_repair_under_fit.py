"""The repair where curvature is taken: in `fit`, in branches and loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import keras_curvature
from keras_curvature.autodiff import GradientGraph
from keras_curvature.optimizers import SecondOrderGradient
from tests.oracles import difference_product, flat, values_of

RNG = np.random.default_rng(6)
X, Y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 1))


def normalized_model(sequential=keras.Sequential):
    return sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, activation="softsign"),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.GroupNormalization(2),
            keras.layers.Dense(1),
        ]
    )


def gradient(model, loss):
    with tf.GradientTape() as tape:
        value = loss(model)
    return tape.gradient(value, values_of(model.trainable_variables))


def squared_error(model):
    return tf.reduce_mean((model(X, training=True) - Y) ** 2)


def product_by_one_step(model, y=Y, loss="mse", update_period=1, **options):
    """H·g, by which a step with gradient_weight=0 moves the weights."""
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(1.0),
        gradient_weight=0,
        curvature_weight=1.0,
        update_period=update_period,
    )
    model.compile(optimizer, loss, **options)
    before = flat(model.trainable_variables)
    model.fit(X, y, batch_size=len(X), shuffle=False, verbose=0)
    return before - flat(model.trainable_variables)


def assert_is_hessian_times_gradient(product_of, model, loss=squared_error):
    vector = gradient(model, loss)
    truth = difference_product(
        lambda: loss(model),
        model.trainable_variables,
        vector,
        step=1e-4 / np.linalg.norm(flat(vector)),
    )
    assert_allclose(
        product_of(model), truth, rtol=0, atol=1e-7 * np.abs(truth).max()
    )


# In steps that are not due, a product is not computed: it lies in a tf.cond.
@pytest.mark.parametrize("update_period", [1, 3])
@pytest.mark.parametrize("jit", [False, True])
def test_an_unmodified_model_is_trained_with_exact_products(
    jit, update_period, float64
):
    assert_is_hessian_times_gradient(
        lambda model: product_by_one_step(
            model, update_period=update_period, jit_compile=jit
        ),
        normalized_model(),
    )


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}])
def test_a_recorded_model_is_trained_with_exact_products(options, float64):
    assert_is_hessian_times_gradient(
        lambda model: product_by_one_step(model, **options),
        normalized_model(keras_curvature.Sequential),
    )


@pytest.mark.parametrize("jit", [False, True])
def test_products_in_the_body_of_a_loop_are_exact(jit, float64):
    @tf.function(jit_compile=jit, autograph=False)
    def product(model):
        variables = model.trainable_variables
        gradients = gradient(model, squared_error)
        curvature = GradientGraph(gradients, variables)
        return tf.while_loop(
            lambda i, *_: i < 1,
            lambda i, *v: (i + 1, *curvature.hessian_vector_product(v)),
            (0, *gradients),
        )[1:]

    assert_is_hessian_times_gradient(
        lambda model: flat(product(model)), normalized_model()
    )


@pytest.mark.parametrize("jit", [False, True])
def test_a_sample_without_partner_does_not_spoil_the_circle_loss(jit, float64):
    """Its logsumexp is over nothing; TensorFlow's second derivative is NaN."""
    labels = np.array([0, 1, 0, 0, 2, 0])
    circle = keras.losses.Circle(gamma=4.0)
    assert_is_hessian_times_gradient(
        lambda model: product_by_one_step(
            model, labels, circle, jit_compile=jit
        ),
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh")]),
        lambda model: circle(labels, model(X)),
    )
