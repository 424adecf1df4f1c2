"""What has no right second derivative is refused by name."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.autodiff import (
    GradientGraph,
    SecondDerivativeError,
    hessian_vector_product,
)
from keras_curvature.optimizers import SecondOrderGradient


@pytest.fixture
def w():
    rng = np.random.default_rng(0)
    return tf.Variable(rng.uniform(0.5, 1.5, size=(3, 3)))


def by_graph(loss, w):
    @tf.function(autograph=False)
    def product():
        with tf.GradientTape() as tape:
            value = loss(w)
        gradients = tape.gradient(value, [w])
        return GradientGraph(gradients, [w]).hessian_vector_product([w])

    return product()


def by_tapes(loss, w):
    return hessian_vector_product(lambda: loss(w), [w], [tf.ones_like(w)])


def by_tapes_in_function(loss, w):
    return tf.function(lambda: by_tapes(loss, w), autograph=False)()


WAYS = [by_graph, by_tapes, by_tapes_in_function]
recomputed = tf.recompute_grad(lambda x: tf.sin(x * x))
REFUSED = {
    "recompute_grad": lambda w: tf.reduce_sum(recomputed(1.0 * w) ** 2),
    "py_function": lambda w: tf.reduce_sum(
        tf.py_function(lambda x: tf.sin(x) ** 2, [w * w], tf.float64) ** 2
    ),
    "MaxPoolGradWithArgmax": lambda w: tf.reduce_sum(
        tf.nn.max_pool_with_argmax(
            tf.reshape(w * w, (1, 3, 3, 1)), 2, 1, "SAME"
        )[0]
        ** 2
    ),
    "FractionalMaxPoolGrad": lambda w: tf.reduce_sum(
        tf.nn.fractional_max_pool(tf.reshape(w * w, (1, 3, 3, 1)), 1.4, seed=3)[
            0
        ]
        ** 2
    ),
    "ImageProjectiveTransformV3": lambda w: tf.reduce_sum(
        tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.reshape(w * w, (1, 3, 3, 1)),
            transforms=[[1.0, 0.1, 0.2, -0.1, 0.9, 0.3, 0.0, 0.0]],
            output_shape=(3, 3),
            fill_value=0.0,
            interpolation="BILINEAR",
        )
        ** 2
    ),
    "FractionalAvgPoolGrad": lambda w: tf.reduce_sum(
        tf.nn.fractional_avg_pool(
            tf.reshape(w * w, (1, 3, 3, 1)), [1, 1.4, 1.4, 1], seed=3
        )[0]
        ** 3
    ),
    "PreventGradient": lambda w: tf.reduce_sum(
        tf.raw_ops.CTCLoss(
            inputs=tf.reshape(w * w, (3, 1, 3)),
            labels_indices=tf.constant([[0, 0]], tf.int64),
            labels_values=[1],
            sequence_length=[3],
        )[0]
        ** 2
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", REFUSED)
def test_what_cannot_be_mended_is_refused_by_name(operation, way, w):
    with pytest.raises(SecondDerivativeError, match="Instead: ") as error:
        way(REFUSED[operation], w)
    assert operation in str(error.value)


@pytest.mark.parametrize("way", [by_graph, by_tapes_in_function])
def test_numpy_code_in_a_graph_is_refused(way, w):
    with pytest.raises(SecondDerivativeError, match="numpy_function"):
        way(
            lambda w: tf.reduce_sum(
                w * w * tf.numpy_function(np.sin, [w * w], tf.float64)
            ),
            w,
        )


class Bottleneck(keras.layers.Layer):
    """TensorFlow lacks the second derivative of its pooling."""

    def call(self, x):
        return tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[0]


def refused_model(optimizer):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 2),
            Bottleneck(name="narrow"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="tanh"),
        ]
    )
    model.compile(optimizer, "mse")
    return model


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_fit_refuses_with_the_name_of_the_layer():
    model = refused_model(SecondOrderGradient("sgd"))
    with pytest.raises(SecondDerivativeError, match="narrow"):
        model.fit(np.ones((2, 4, 4, 1)), np.ones((2, 1)), verbose=0)


NORM = keras.layers.BatchNormalization


@pytest.mark.skipif(
    "renorm" not in inspect.signature(NORM).parameters,
    reason="this Keras has no renorm",
)
@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}])
def test_renorm_is_refused_with_the_name_of_the_layer(options):
    model = keras_curvature.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4),
            NORM(renorm=True, name="corrected"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(SecondOrderGradient("sgd"), "mse", **options)
    with pytest.raises(
        SecondDerivativeError, match=r"'.*corrected.*renorm=False"
    ):
        model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)


def test_first_order_training_of_a_refused_model_works():
    model = refused_model("sgd")
    losses = model.fit(
        np.ones((8, 4, 4, 1)), np.ones((8, 1)), epochs=2, verbose=0
    ).history["loss"]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("is_traced", [False, True])
@pytest.mark.parametrize(
    "name, function",
    [
        ("Betainc", lambda w: tf.math.betainc(w[0] + 1, w[1], 0.5 * w[1])),
        ("Polygamma", lambda w: tf.math.polygamma(w[0] + 1, w[1])),
        ("Zeta", lambda w: tf.math.zeta(w[0] + 2, w[1])),
    ],
)
def test_a_derivative_that_tensorflow_leaves_out_is_refused(
    name, function, is_traced
):
    function = tf.function(function, autograph=False) if is_traced else function
    w = tf.Variable([0.0, 0.7])
    with pytest.raises(SecondDerivativeError, match=name):
        hessian_vector_product(lambda: function(w), [w], [tf.ones(2)])
