"""LevenbergMarquardt under the options of Keras and its own."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from tests.optimizers.least_squares.helpers import (
    compiled,
    fit,
    flat_weights,
    network,
)


@functools.cache
def after_two_steps(linear_solver, slice_size=None):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    keras.utils.set_random_seed(0)
    model = network()
    compiled(
        model,
        linear_solver=linear_solver,
        slice_size=slice_size,
        initial_trust_radius=1.0,
    )
    fit(model, x, y, 2)
    return flat_weights(model)


@pytest.mark.parametrize(
    "options", [("cholesky", 5), ("qr", 5), ("qr",)], ids=str
)
def test_slices_and_solvers_change_nothing(options, float64):
    np.testing.assert_allclose(
        after_two_steps(*options), after_two_steps("cholesky"), rtol=1e-6
    )


def test_config_holds_every_setting():
    optimizer = LevenbergMarquardt(
        "qr",
        scaling="identity",
        initial_trust_radius=3.0,
        max_attempts=4,
        slice_size=5,
        mini_batches=True,
        gradient_tolerance=1e-3,
        step_tolerance=1e-4,
        loss_tolerance=1e-5,
        geodesic_acceleration=True,
        name="lm",
    )
    copy = LevenbergMarquardt.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()
    assert optimizer.get_config() == {
        "linear_solver": "qr",
        "scaling": "identity",
        "initial_trust_radius": 3.0,
        "max_attempts": 4,
        "mini_batches": True,
        "slice_size": 5,
        "gradient_tolerance": 1e-3,
        "step_tolerance": 1e-4,
        "loss_tolerance": 1e-5,
        "geodesic_acceleration": True,
        "name": "lm",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"linear_solver": "lu"},
        {"scaling": 1.0},
        {"initial_trust_radius": 0.0},
        {"max_attempts": 0},
        {"slice_size": 0},
        {"gradient_tolerance": -1.0},
        {"step_tolerance": float("nan")},
        {"loss_tolerance": "small"},
        {"clipnorm": 1.0},
        {"use_ema": True},
        {"weight_decay": 0.1},
        {"gradient_accumulation_steps": 2},
    ],
)
def test_wrong_settings_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LevenbergMarquardt(**options)


def dense(**options):
    return keras.layers.Dense(1, **options)


@pytest.mark.parametrize(
    "layers, loss, message",
    [
        (lambda: [dense()], "mae", "mean_absolute_error"),
        (
            lambda: [dense(kernel_regularizer="l1")],
            "mse",
            r"regularizers\.L2",
        ),
        (
            lambda: [dense(activity_regularizer="l2")],
            "mse",
            "1 further losses",
        ),
        (lambda: [dense(bias_constraint="unit_norm")], "mse", "constraint"),
        (lambda: [keras.layers.Dropout(0.5), dense()], "mse", "dropout"),
        (
            lambda: [keras.layers.BatchNormalization(), dense()],
            "mse",
            "batch_normalization",
        ),
        (lambda: [dense(dtype="float64")], "mse", "set_floatx"),
    ],
    ids=[
        "loss",
        "L1",
        "activity",
        "constraint",
        "dropout",
        "normalization",
        "dtype",
    ],
)
def test_what_cannot_be_right_is_refused(layers, loss, message, rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    model = keras_curvature.Sequential([keras.Input((2,)), *layers()])
    with pytest.raises(ValueError, match=message):
        fit(compiled(model, loss), x, y, 1)


def test_a_plain_model_is_refused(rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    model = compiled(keras.Sequential([keras.Input((2,)), dense()]))
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        fit(model, x, y, 1)


def test_a_layer_that_mixes_samples_is_found_out(rng):
    class Centered(keras.layers.Layer):
        def call(self, x):
            return x - tf.reduce_mean(x, axis=0)

    model = compiled(
        keras_curvature.Sequential(
            [keras.Input((2,)), Centered(), keras.layers.Dense(1)]
        )
    )
    with pytest.raises(RuntimeError, match="one by one"):
        fit(model, rng.normal(size=(12, 2)), rng.normal(size=(12, 1)), 1)


def test_float32_reaches_its_precision(rng):
    x = rng.normal(size=(40, 2)).astype("float32")
    y = x @ np.array([[2.0], [-3.0]], "float32") + 1
    model = compiled(
        keras_curvature.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    )
    fit(model, x, y, 30)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel[:, 0], [2, -3], rtol=1e-6)
    np.testing.assert_allclose(bias, [1], rtol=1e-6)


def test_a_frozen_layer_stays_and_an_unused_weight_is_left_alone(float64, rng):
    class WithUnused(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.frozen = keras.layers.Dense(3, activation="tanh")
            self.frozen.trainable = False
            self.out = keras.layers.Dense(1)
            self.unused = self.add_weight(shape=(2,), name="unused")

        def call(self, x):
            return self.out(self.frozen(x))

    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    model = WithUnused()
    model(x)
    frozen, unused = model.frozen.kernel.numpy(), model.unused.numpy()
    compiled(model)
    fit(model, x, y, 10)
    np.testing.assert_array_equal(model.frozen.kernel.numpy(), frozen)
    np.testing.assert_array_equal(model.unused.numpy(), unused)
    features = np.concatenate(
        [model.frozen(x).numpy(), np.ones((12, 1))], axis=1
    )
    best = np.linalg.lstsq(features, y, rcond=None)[0]
    np.testing.assert_allclose(
        np.concatenate(model.out.get_weights(), axis=None), best[:, 0], 1e-6
    )
