"""What LevenbergMarquardt and GaussNewton keep or refuse alike."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import (
    GaussNewton,
    LevenbergMarquardt,
)
from keras_curvature.optimizers._least_squares import jacobian_systems
from tests.optimizers.least_squares.helpers import fit, flat_weights, network

OPTIMIZERS = {
    "cholesky": lambda: LevenbergMarquardt("cholesky"),
    "qr": lambda: LevenbergMarquardt("qr"),
    "dual": lambda: LevenbergMarquardt("dual"),
    "gauss_newton": GaussNewton,
}
every = pytest.mark.parametrize("name", OPTIMIZERS)
both = pytest.mark.parametrize("make", [LevenbergMarquardt, GaussNewton])


@every
def test_l2_regularizers_give_ridge_regression(name, float64, rng):
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    model = keras_curvature.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                1, kernel_regularizer=keras.regularizers.L2(0.2)
            ),
        ]
    )
    model.compile(OPTIMIZERS[name](), "mse")
    losses = fit(model, x, y, 30)["loss"]
    rows = np.concatenate([x, np.ones((20, 1))], axis=1)
    penalty = 0.2 * np.diag([1.0, 1, 1, 0])
    best = np.linalg.solve(rows.T @ rows / 20 + penalty, rows.T @ y / 20)
    np.testing.assert_allclose(flat_weights(model), best[:, 0], rtol=1e-7)
    least = np.mean((rows @ best - y) ** 2) + best[:, 0] @ penalty @ best[:, 0]
    assert losses[-1] >= least
    reached = model.optimizer.progress["accepted_loss"]
    np.testing.assert_allclose(reached, least, rtol=1e-12)


@both
def test_mini_batches_do_not_end_a_training(make, rng):
    # Each batch has its own minimum, at which the steps before it did not end.
    x = rng.normal(size=(60, 2)).astype("float32")
    y = rng.normal(size=(60, 1)).astype("float32")
    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(make(mini_batches=True), "mse")
    history = model.fit(x, y, batch_size=20, epochs=20, verbose=0).history
    assert model.optimizer.iterations == 60
    assert "stop_reason" not in history


@both
def test_the_whole_data_in_another_order_is_the_same_batch(make, rng):
    x = rng.normal(size=(60, 2)).astype("float32")
    y = rng.normal(size=(60, 1)).astype("float32")
    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(make(), "mse")
    history = model.fit(x, y, batch_size=60, epochs=40, verbose=0).history
    assert history["stop_reason"] == ["precision"]
    assert len(history["loss"]) < 40


def test_slices_bound_the_samples_whose_jacobian_is_held(
    float64, rng, monkeypatch
):
    sizes, original = [], jacobian_systems.per_sample_jacobian

    def counted(outputs_fn, inputs, *args, **kwargs):
        sizes.append(inputs.shape[0])
        return original(outputs_fn, inputs, *args, **kwargs)

    monkeypatch.setattr(jacobian_systems, "per_sample_jacobian", counted)
    x, y = rng.normal(size=(23, 2)), rng.normal(size=(23, 1))
    model = network()
    model.compile(LevenbergMarquardt(slice_size=5), "mse", run_eagerly=True)
    fit(model, x, y, 1)
    assert sizes == [5] * 5


@both
def test_a_training_is_traced_once(make, float64, rng):
    traces = []

    class Counted(keras_curvature.Sequential):
        def train_step(self, data):
            traces.append(1)
            return super().train_step(data)

    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    model = Counted([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(make(), "mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    for _ in range(3):
        model.fit(x, y, batch_size=12, epochs=2, verbose=0)
    assert len(traces) == 1


@both
def test_the_history_says_what_became_of_the_steps(make, float64, rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    model = network()
    model.compile(make(), "mse")
    history = fit(model, x, y, 1)
    names = {"accepted_loss", "gradient_norm", "evaluations", "accepted_steps"}
    names |= {"trust_radius", "gain_ratio", "loss"}
    names.add("damping" if make is LevenbergMarquardt else "cg_iterations")
    assert set(history) == names


@both
def test_replicas_are_refused(make, mirrored_strategy):
    with mirrored_strategy.scope():
        model = network()
        model.compile(make(), "mse")
    with pytest.raises(ValueError, match="2 replicas"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


@both
def test_half_precision_is_refused(make):
    keras.config.set_dtype_policy("mixed_float16")
    model = network()
    model.compile(make(), "mse")
    with pytest.raises(ValueError, match="mixed_float16"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


@both
def test_callbacks_that_set_a_learning_rate_are_refused(make):
    model = network()
    model.compile(make(), "mse")
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    with pytest.raises(ValueError, match="`learning_rate` is not an option"):
        model.fit(
            np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[schedule]
        )


@both
def test_data_that_are_not_finite_are_an_error(make):
    model = network()
    model.compile(make(), "mse")
    x = np.array([[1.0, 2.0], [np.nan, 1.0]])
    before = flat_weights(model)
    with pytest.raises(RuntimeError, match="not finite"):
        model.fit(x, np.ones((2, 1)), verbose=0)
    np.testing.assert_array_equal(flat_weights(model), before)


@both
def test_an_input_may_be_a_structure(make, float64, rng):
    left, right = keras.Input((2,), name="l"), keras.Input((3,), name="r")
    both = keras.layers.Concatenate()([left, right])
    model = keras_curvature.Model(
        {"l": left, "r": right}, keras.layers.Dense(1)(both)
    )
    model.compile(make(), "mse")
    x = {"l": rng.normal(size=(20, 2)), "r": rng.normal(size=(20, 3))}
    y = rng.normal(size=(20, 1))
    data = tf.data.Dataset.from_tensors((x, y)).repeat()
    model.fit(data, steps_per_epoch=30, shuffle=False, verbose=0)
    rows = np.concatenate([x["l"], x["r"], np.ones((20, 1))], axis=1)
    best = np.linalg.lstsq(rows, y, rcond=None)[0]
    np.testing.assert_allclose(flat_weights(model), best[:, 0], rtol=1e-6)


class Sum(keras.layers.Layer):
    """keras.layers.Add, which squeezes a batch of one row, without that."""

    def call(self, inputs):
        return tf.math.add(*inputs)


def test_a_last_batch_of_one_sample_is_one_of_its_rows(float64, rng):
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(5, 1))

    def fitted(layer):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((2,))
        hidden = [keras.layers.Dense(2)(inputs) for _ in range(2)]
        outputs = keras.layers.Dense(1)(layer(hidden))
        model = keras_curvature.Model(inputs, outputs)
        model.compile(LevenbergMarquardt(mini_batches=True), "mse")
        model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
        return flat_weights(model)

    np.testing.assert_allclose(
        fitted(keras.layers.Add()), fitted(Sum()), rtol=1e-8
    )


def test_weights_whose_square_has_no_room_are_fitted_to_few_samples(rng):
    # Their normal equations would take 160 gigabytes.
    x = rng.normal(size=(4, 64)).astype("float32")
    model = keras_curvature.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(3000, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(LevenbergMarquardt(), "mse")
    losses = model.fit(x, x[:, :1], batch_size=4, epochs=3, verbose=0).history
    assert losses["loss"][-1] < 1e-6 * losses["loss"][0]
