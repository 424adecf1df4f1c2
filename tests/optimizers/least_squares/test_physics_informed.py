"""Physics-informed networks train with each of the solvers."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.callbacks import SolverProgress
from keras_curvature.optimizers import (
    LBFGS,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
)
from tests.optimizers.least_squares.helpers import Poisson

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
