"""SolverProgress: what is logged, when `fit` ends, and what the model holds."""

import keras
import numpy as np
import pytest

import keras_curvature
from keras_curvature.callbacks import SolverProgress
from keras_curvature.optimizers import (
    LBFGS,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
)
from tests.optimizers.helpers import X, Y, weights

SOLVERS = [LBFGS, NewtonCG, LevenbergMarquardt, GaussNewton]
every_solver = pytest.mark.parametrize(
    "make", SOLVERS, ids=lambda make: make.__name__
)


def line(make):
    """A line, whose best weights are known."""
    model = keras_curvature.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1)]
    )
    model.compile(make(), "mse")
    return model


def fit(model, *callbacks, epochs=60, **options):
    return model.fit(
        X,
        Y,
        batch_size=len(X),
        shuffle=False,
        epochs=epochs,
        verbose=0,
        callbacks=[SolverProgress(), *callbacks],
        **options,
    ).history


def mean_square(model):
    return np.mean((np.array(model(X)) - Y) ** 2)


class Watch(keras.callbacks.Callback):
    """The loss of what the model holds where another callback may look."""

    def __init__(self):
        super().__init__()
        self.at_tests, self.at_ends = [], []

    def on_test_begin(self, logs=None):
        self.at_tests.append(mean_square(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.at_ends.append(mean_square(self.model))


@every_solver
def test_fit_ends_at_the_least_squares_solution(make, float64):
    model = line(make)
    history = fit(model)
    assert len(history["loss"]) < 60
    assert model.optimizer.converged
    assert history["stop_reason"] == [model.optimizer.stop_reason]
    design = np.concatenate([X, np.ones((len(X), 1))], axis=1)
    best = np.linalg.lstsq(design, Y, rcond=None)[0][:, 0]
    np.testing.assert_allclose(weights(model), best, rtol=1e-6)


@every_solver
def test_the_history_has_an_entry_of_progress_for_each_epoch(make, float64):
    model = line(make)
    history = fit(model, epochs=3)
    progress = model.optimizer.progress
    assert {"accepted_loss", "gradient_norm", "evaluations"} <= set(progress)
    for name, value in progress.items():
        assert len(history[name]) == 3
        assert history[name][-1] == value


@every_solver
def test_validation_and_later_callbacks_see_the_accepted_point(make, float64):
    model, watch = line(make), Watch()
    history = fit(model, watch, epochs=5, validation_data=(X, Y))
    losses = history["accepted_loss"]
    np.testing.assert_allclose(watch.at_tests, losses, rtol=1e-10)
    np.testing.assert_allclose(watch.at_ends, losses, rtol=1e-10)
    # At the minimum it may rise by its rounding.
    assert np.all(np.diff(losses) <= 1e-14)


def test_a_first_order_optimizer_is_refused_with_the_names_of_solvers():
    model = line(lambda: "sgd")
    with pytest.raises(TypeError, match=r"LBFGS.*GaussNewton.*SGD"):
        fit(model, epochs=1)
