"""The public check finds the layer whose second derivative is wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import check_second_derivatives

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 1))


class ForgetfulSine(keras.layers.Layer):
    """Its gradient is right; the derivative of its gradient is missing."""

    def call(self, x):
        @tf.custom_gradient
        def sine(x):
            slope = tf.stop_gradient(tf.cos(x))
            return tf.sin(x), lambda upstream: upstream * slope

        return sine(x)


class DoubledSine(keras.layers.Layer):
    """Its gradient is wrong."""

    def call(self, x):
        @tf.custom_gradient
        def sine(x):
            return tf.sin(x), lambda upstream: 2 * upstream * tf.cos(x)

        return sine(x)


class Pooled(keras.layers.Layer):
    """TensorFlow lacks the second derivative of its pooling."""

    def call(self, x):
        images = tf.reshape(x, (-1, 2, 2, 1))
        return tf.nn.max_pool_with_argmax(images, 2, 2, "SAME")[0][:, 0, 0]


class Subclassed(keras.Model):
    def __init__(self, middle):
        super().__init__()
        self.first = keras.layers.Dense(4)
        self.middle = middle
        self.last = keras.layers.Dense(1)

    def call(self, x, training=False):
        return self.last(self.middle(self.first(x)))


def sequential(*middle):
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4),
            *middle,
            keras.layers.Dense(1, kernel_regularizer="l2"),
        ]
    )


def test_an_exact_model_passes_in_float64():
    model = sequential(
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.LayerNormalization(),
    )
    report = check_second_derivatives(model, X, Y, loss="mse")
    assert report.passed
    assert report.dtype == "float64"
    assert report.error < 1e-7
    assert report.gradient_error < 1e-7
    assert not report.guilty
    assert "exact" in str(report)


@pytest.mark.parametrize("wrap", [sequential, Subclassed])
def test_a_wrong_custom_gradient_is_named(wrap):
    model = wrap(ForgetfulSine(name="forgetful"))
    model(X)
    report = check_second_derivatives(model, X, Y, loss="mse")
    assert not report.passed
    assert len(report.guilty) == 1
    assert "forgetful" in report.guilty[0]
    assert "Look at: " in str(report)


def test_a_wrong_first_gradient_shows():
    report = check_second_derivatives(
        sequential(DoubledSine()), X, Y, loss="mse"
    )
    assert report.gradient_error > 1e-2


def test_a_refused_layer_is_named():
    pooled = Pooled(name="narrow")
    report = check_second_derivatives(sequential(pooled), X, Y, loss="mse")
    assert not report.passed
    assert report.error is None
    assert "narrow" in report.guilty[0]
    assert "tf.RegisterGradient" in str(report)


def test_the_model_is_left_as_it_was():
    model = sequential(keras.layers.BatchNormalization())
    model.compile("adam", "mse")
    before = model.get_weights()
    check_second_derivatives(model, X, Y)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"
    model.fit(X, Y, verbose=0)


def test_a_loss_is_needed():
    with pytest.raises(ValueError, match="`loss` must be given"):
        check_second_derivatives(sequential(), X, Y)


def test_a_model_must_be_built():
    with pytest.raises(ValueError, match="`model` must be built"):
        check_second_derivatives(Subclassed(keras.layers.ReLU()), X, Y, "mse")
