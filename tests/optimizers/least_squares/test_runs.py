"""Where a run of LevenbergMarquardt and GaussNewton begins and ends."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import (
    GaussNewton,
    LevenbergMarquardt,
    SolverError,
    StopReason,
)
from tests.optimizers.least_squares.helpers import (
    fit,
    flat_weights,
    network,
)

both = pytest.mark.parametrize("make", [LevenbergMarquardt, GaussNewton])
X = np.random.default_rng(0).normal(size=(24, 2))
Y = np.sin(X[:, :1]) + 0.1 * X[:, 1:]


def line():
    return keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )


@both
def test_train_on_batch_goes_on_where_the_run_has_ended(make):
    model = line()
    model.compile(make(), "mse")
    for _ in range(30):
        logs = model.train_on_batch(X, Y, return_dict=True)
    assert model.optimizer.stop_reason is StopReason.PRECISION
    assert model.optimizer.converged
    reached = flat_weights(model)
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(flat_weights(model), reached)
    # No numbers but those of Keras.
    assert set(logs) == {"loss"}


@both
def test_other_data_begin_anew_after_the_end(make):
    model = line()
    model.compile(make(), "mse")
    for y in (Y, 3 * Y - 1):
        for _ in range(30):
            model.train_on_batch(X, y)
        rows = np.concatenate([X, np.ones((24, 1))], axis=1)
        best = np.linalg.lstsq(rows, y, rcond=None)[0]
        np.testing.assert_allclose(
            flat_weights(model), best[:, 0], rtol=1e-4, atol=1e-6
        )


@both
def test_weights_moved_by_hand_and_reset_begin_a_new_run(make, float64):
    model = network()
    model.compile(make(), "mse")
    start = model.get_weights()
    fit(model, X, Y, 5)
    first = flat_weights(model)
    model.set_weights(start)
    fit(model, X, Y, 5)
    np.testing.assert_array_equal(flat_weights(model), first)
    assert model.optimizer.progress["accepted_steps"] <= 5
    model.set_weights(start)
    model.optimizer.reset()
    assert model.optimizer.progress["evaluations"] == 0
    fit(model, X, Y, 5)
    np.testing.assert_array_equal(flat_weights(model), first)


@both
def test_a_batch_that_is_not_finite_is_not_forgotten_within_an_execution(make):
    model = network()
    model.compile(make(), "mse", steps_per_execution=2)
    before = flat_weights(model)
    # Of the shape that `fit` has below, or the step is traced once more.
    batches = tf.data.Dataset.from_tensor_slices(([X * np.nan, X], [Y, Y]))
    with pytest.raises(SolverError, match="not finite") as caught:
        model.fit(batches, verbose=0)
    assert caught.value.reason is StopReason.NON_FINITE
    np.testing.assert_array_equal(flat_weights(model), before)
    # Nothing of it is left in the state: the next run is that of a new model.
    fit(model, X, Y, 4)
    other = network()
    other.compile(make(), "mse", steps_per_execution=2)
    other.set_weights(network_weights(before, other))
    fit(other, X, Y, 4)
    np.testing.assert_array_equal(flat_weights(model), flat_weights(other))


def network_weights(flat, model):
    sizes = np.cumsum([w.size for w in model.get_weights()])[:-1]
    parts = np.split(flat, sizes)
    return [
        np.reshape(p, w.shape)
        for p, w in zip(parts, model.get_weights(), strict=True)
    ]


@both
def test_batches_that_change_are_announced_once(make):
    model = line()
    model.compile(make(), "mse")
    with pytest.warns(UserWarning, match=r"batch_size=len\(x\)") as warned:
        model.fit(X, Y, batch_size=8, epochs=5, verbose=0)
    assert len(warned) == 1
    model = line()
    model.compile(make(mini_batches=True), "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
        model = line()
        model.compile(make(), "mse")
        model.fit(X, Y, batch_size=24, epochs=5, verbose=0)


@both
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_path_does_not_depend_on_the_unit_of_the_loss(make, unit, float64):
    trained = []
    for weight in (1.0, unit):
        keras.utils.set_random_seed(0)
        model = network()
        model.compile(make(), "mse", loss_weights=[weight])
        fit(model, X, Y, 6)
        trained.append(flat_weights(model))
    np.testing.assert_allclose(trained[1], trained[0], rtol=1e-6)


@both
def test_targets_of_any_size_are_fitted_in_float32(make):
    losses = []
    for floatx in ("float32", "float64"):
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(floatx)
        keras.utils.set_random_seed(0)
        model = network()
        model.compile(make(), "mse")
        losses.append(fit(model, X, 1e7 * Y, 1)["accepted_loss"][0])
        assert model.optimizer.progress["accepted_steps"] == 1
    # The same first step, whose change of the loss float32 cannot show.
    np.testing.assert_allclose(*losses, rtol=1e-5)


@both
def test_other_variables_are_explained(make):
    model = network()
    model.compile(make(), "mse")
    model.fit(X, Y, batch_size=24, verbose=0)
    model.layers[0].trainable = False
    model.compile(model.optimizer, "mse")
    with pytest.raises(ValueError, match=r"Missing: .*kernel.*new optimizer"):
        model.fit(X, Y, batch_size=24, verbose=0)
    other = network()
    other.compile(model.optimizer, "mse")
    with pytest.raises(ValueError, match="new optimizer instance"):
        other.fit(X, Y, batch_size=24, verbose=0)


def test_moving_statistics_are_those_of_accepted_points(float64):
    # Each step shows its batch once at the accepted point, as SGD does.
    model = keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, activation="tanh"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile(GaussNewton(), "mse")
    mean = np.zeros(3)
    for _ in range(6):
        kernel, bias = (w.numpy() for w in model.layers[0].weights)
        mean = 0.5 * mean + 0.5 * np.tanh(X @ kernel + bias).mean(0)
        model.train_on_batch(X, Y)
    assert model.optimizer.progress["evaluations"] > 12
    np.testing.assert_allclose(
        model.layers[1].moving_mean.numpy(), mean, rtol=1e-9
    )


@both
def test_an_interrupted_step_leaves_the_accepted_point(make):
    class Interrupted(keras.layers.Layer):
        calls = 0

        def call(self, x):
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return tf.identity(x)

    layer = Interrupted()
    model = keras_curvature.Sequential([layer, keras.layers.Dense(1)])
    model.build((None, 2))
    layer.calls = 0
    model.compile(make(), "mse", run_eagerly=True)
    before = flat_weights(model)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=24, epochs=3, verbose=0)
    # Interrupted within the first step or later, it is an accepted point.
    accepted = model.optimizer.progress
    if accepted["accepted_steps"] == 0:
        np.testing.assert_array_equal(flat_weights(model), before)
    else:
        loss = np.mean((model.predict(X, verbose=0) - Y) ** 2)
        np.testing.assert_allclose(loss, accepted["accepted_loss"], rtol=1e-5)


@both
def test_a_negative_weight_is_named(make):
    model = network()
    model.compile(make(), "mse")
    weight = np.r_[-1.0, np.ones(23)]
    before = flat_weights(model)
    with pytest.raises(SolverError, match="negative sample") as caught:
        model.fit(X, Y, sample_weight=weight, batch_size=24, verbose=0)
    assert caught.value.reason is StopReason.INDEFINITE
    np.testing.assert_array_equal(flat_weights(model), before)
