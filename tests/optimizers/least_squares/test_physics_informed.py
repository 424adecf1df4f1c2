"""Physics-informed networks train with each of the solvers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.callbacks import SolverProgress
from keras_curvature.optimizers import (
    LBFGS,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
)


class Poisson(keras_curvature.Model):
    """Maps x to u″ of a field network u that vanishes at 0 and 1."""

    def __init__(self):
        super().__init__()
        self.field = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(16, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )

    def solution(self, x):
        return x * (1 - x) * self.field(x)

    def call(self, x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = self.solution(x)
            slope = inner.gradient(u, x)
        return outer.gradient(slope, x)


# name: (optimizer, steps, relative error of the solution)
SOLVERS = {
    "lbfgs": (LBFGS, 300, 1e-4),
    "newton_cg": (NewtonCG, 100, 1e-5),
    "levenberg_marquardt": (LevenbergMarquardt, 100, 1e-7),
    "gauss_newton": (GaussNewton, 100, 1e-5),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solver_finds_the_solution_of_the_poisson_equation(name, float64):
    """u″ = −π² sin πx with u(0) = u(1) = 0."""
    make_optimizer, steps, tolerance = SOLVERS[name]
    x = np.linspace(0, 1, 50)[:, None]
    exact = np.sin(np.pi * x)
    model = Poisson()
    model.compile(make_optimizer(), "mse")
    data = tf.data.Dataset.from_tensors((x, -(np.pi**2) * exact)).repeat()
    history = model.fit(
        data,
        epochs=steps // 20,
        steps_per_epoch=20,
        shuffle=False,
        callbacks=[SolverProgress()],
        verbose=0,
    ).history
    error = model.solution(tf.constant(x)).numpy() - exact
    assert np.linalg.norm(error) < tolerance * np.linalg.norm(exact)
    losses = history["accepted_loss"]
    assert losses == sorted(losses, reverse=True)
