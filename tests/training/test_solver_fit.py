"""Life of LBFGS and NewtonCG under `fit` of a model of this package."""

import keras
import numpy as np
import pytest

import keras_curvature
from keras_curvature.callbacks import SolverProgress
from keras_curvature.optimizers import (
    LBFGS,
    LevenbergMarquardt,
    NewtonCG,
    StopReason,
)

X = np.linspace(-1, 1, 20)[:, None]
Y = 3 * X + 1
SOLVERS = [LBFGS, NewtonCG]


def line(optimizer, kind=keras_curvature.Sequential, layers=(), **settings):
    keras.utils.set_random_seed(2)
    model = kind([keras.Input((1,)), *layers, keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", **({"jit_compile": False} | settings))
    return model


def fit(model, epochs=60, **settings):
    return model.fit(
        X,
        Y,
        batch_size=len(X),
        shuffle=False,
        epochs=epochs,
        verbose=0,
        **settings,
    ).history


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize("solver", SOLVERS)
def test_fit_ends_with_the_run_without_a_callback(float64, solver):
    model = line(solver())
    history = fit(model)
    assert len(history["loss"]) < 60
    assert history["stop_reason"] == [StopReason.GRADIENT_TOLERANCE]
    assert len(history["accepted_loss"]) == len(history["loss"])
    np.testing.assert_allclose(weights(model), [3, 1], rtol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_after_the_end_of_a_run_raise_nothing(float64, solver):
    model = line(solver())
    for _ in range(60):
        model.train_on_batch(X, Y)
    assert model.optimizer.converged
    np.testing.assert_allclose(weights(model), [3, 1], rtol=1e-7)


@pytest.mark.parametrize("monitor", ["loss", "accepted_loss"])
@pytest.mark.parametrize("patience", [1, 2])
def test_early_stopping_sees_a_trial_in_the_second_epoch(
    float64, monitor, patience
):
    model = line(LBFGS())
    before = weights(model)
    stopping = keras.callbacks.EarlyStopping(monitor, patience=patience)
    history = fit(model, callbacks=[stopping])
    assert not np.array_equal(weights(model), before)
    assert stopping.best == min(history[monitor])


def test_the_lowest_accepted_loss_is_kept(float64):
    best = keras.callbacks.EarlyStopping(
        "accepted_loss", patience=9, restore_best_weights=True
    )
    model = line(LBFGS(gradient_tolerance=0.0))
    history = fit(model, 8, callbacks=[best])
    assert best.best == min(history["accepted_loss"])
    assert best.best < history["accepted_loss"][0]


@pytest.mark.parametrize("solver", [LBFGS, LevenbergMarquardt])
def test_what_is_printed_of_an_epoch_stays_a_line(solver, capsys):
    model = line(solver())
    capsys.readouterr()
    model.fit(X, Y, batch_size=len(X), shuffle=False, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) < 240
    assert "accepted_loss" in lines[-1]
    # Codes of the state of a run, which mean nothing to a reader.
    assert "status" not in lines[-1]
    assert "accepted:" not in lines[-1]
    logs = model.train_on_batch(X, Y, return_dict=True)
    assert set(logs) == {"loss"}
    assert np.ndim(model.train_on_batch(X, Y)) == 0


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C after some batches."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


class InterruptingLayer(keras.layers.Layer):
    """The identity, until Ctrl-C."""

    left = 10**6

    def call(self, x):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return x


def accepted_point(optimizer):
    parts = optimizer._flattening.unflatten(optimizer._state["point"])
    return np.concatenate([np.ravel(part) for part in parts])


def test_interrupted_by_a_callback_the_model_has_the_accepted_point(float64):
    # The third evaluation is of the first accepted point, the next a trial.
    for batches in (1, 3):
        model = line(LBFGS())
        with pytest.raises(KeyboardInterrupt):
            fit(model, callbacks=[Interrupt(batches)])
        np.testing.assert_array_equal(
            weights(model), accepted_point(model.optimizer)
        )


@pytest.mark.parametrize(
    "kind, callbacks",
    [(keras_curvature.Sequential, []), (keras.Sequential, [SolverProgress()])],
    ids=["ours", "plain"],
)
def test_interrupted_in_the_model_it_has_the_accepted_point(
    float64, kind, callbacks
):
    layer = InterruptingLayer()
    model = line(LBFGS(), kind, [layer], run_eagerly=True)
    fit(model, 3, callbacks=callbacks)
    layer.left = 3
    with pytest.raises(KeyboardInterrupt):
        fit(model, 10, callbacks=callbacks)
    np.testing.assert_array_equal(
        weights(model), accepted_point(model.optimizer)
    )


def test_statistics_of_rejected_weights_are_forgotten(float64):
    layer = keras.layers.BatchNormalization(momentum=0.5)
    layers = [keras.layers.Dense(1), layer]
    # A more exact line search makes more trials.
    model = line(LBFGS(wolfe_curvature=1e-3), layers=layers)
    model.train_on_batch(X, Y)
    rejected = accepted = 0
    for _ in range(12):
        before = layer.moving_mean.numpy()
        model.train_on_batch(X, Y)
        is_same = np.array_equal(layer.moving_mean.numpy(), before)
        assert is_same == bool(model.optimizer.was_rejected)
        rejected += is_same
        accepted += not is_same
    assert rejected
    assert accepted
