"""LevenbergMarquardt against NIST's certified values, SciPy and dense algebra."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt

_EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "nist.py"


@pytest.fixture(scope="module")
def nist():
    """The module of the example, which holds the models."""
    spec = importlib.util.spec_from_file_location("nist", _EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def endless(x, y, *weight):
    """The whole data as every batch: epochs cost more than such steps."""
    return tf.data.Dataset.from_tensors((x, y, *weight)).repeat()


def fit(model, x, y, steps, *weight):
    history = model.fit(
        endless(x, y, *weight),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )
    return history.history


class Residuals(keras_curvature.Model):
    """Outputs r(b) + x·0 for weights b, to be fitted to 0."""

    def __init__(self, function, start):
        super().__init__()
        self.function = function
        self.b = self.add_weight(shape=(len(start),), name="b")
        self.b.assign(start)

    def call(self, x):
        # Each sample picks its own residual by its index.
        residuals = tf.stack(self.function(self.b))
        return tf.gather(residuals, tf.cast(x, "int32"))


def minimize_residuals(function, start, steps=200, **options):
    model = Residuals(function, start)
    optimizer = LevenbergMarquardt(**options)
    model.compile(optimizer, "mse")
    count = len(function(tf.constant(start, "float64")))
    x = np.arange(count, dtype="float64")[:, None]
    return model, fit(model, x, np.zeros((count, 1)), steps)


# MGH17 needs the most steps, some hundreds from its first starting point.
@pytest.mark.parametrize(
    "name",
    [
        "Chwirut1",
        "Chwirut2",
        "DanWood",
        "ENSO",
        "Gauss1",
        "Gauss2",
        "Gauss3",
        "Hahn1",
        "Kirby2",
        "Lanczos1",
        "Lanczos2",
        "Lanczos3",
        "MGH17",
        "Misra1a",
        "Misra1b",
        "Misra1c",
        "Misra1d",
        "Nelson",
        "Roszman1",
    ],
)
def test_nist_parameters_are_right_to_nine_digits_from_both_starts(
    name, nist, float64
):
    problem = nist.read_problem(name)
    model = nist.Regression(nist.MODELS[name], len(problem.certified))
    model.compile(LevenbergMarquardt(), "mse")
    model.optimizer.build(model.trainable_variables)
    fresh = [variable.numpy() for variable in model.optimizer.variables]
    for start in problem.starts:
        model.b.assign(start)
        for variable, value in zip(
            model.optimizer.variables, fresh, strict=True
        ):
            variable.assign(value)
        fit(model, problem.x, problem.y, steps=1000)
        assert nist.correct_digits(model, problem.certified) >= 9
        assert model.optimizer.stop_reason is not None


CLASSICS = {
    "rosenbrock": (
        lambda b: [10 * (b[1] - b[0] ** 2), 1 - b[0]],
        [-1.2, 1.0],
    ),
    "beale": (
        lambda b: [
            y - b[0] * (1 - b[1] ** k)
            for k, y in enumerate((1.5, 2.25, 2.625), start=1)
        ],
        [1.0, 1.0],
    ),
    "himmelblau": (
        lambda b: [b[0] ** 2 + b[1] - 11, b[0] + b[1] ** 2 - 7],
        [1.0, 1.0],
    ),
    "freudenstein_roth": (
        lambda b: [
            -13 + b[0] + ((5 - b[1]) * b[1] - 2) * b[1],
            -29 + b[0] + ((b[1] + 1) * b[1] - 14) * b[1],
        ],
        [0.5, -2.0],
    ),
    "wood": (
        lambda b: [
            10 * (b[1] - b[0] ** 2),
            1 - b[0],
            90**0.5 * (b[3] - b[2] ** 2),
            1 - b[2],
            10**0.5 * (b[1] + b[3] - 2),
            10**-0.5 * (b[1] - b[3]),
        ],
        [-3.0, -1.0, -3.0, -1.0],
    ),
}


@pytest.mark.parametrize("name", CLASSICS)
def test_minima_are_those_of_scipy_in_no_more_evaluations(name, float64):
    function, start = CLASSICS[name]

    def residuals(b):
        return np.array([float(r) for r in function(b)])

    scipys = scipy.optimize.least_squares(
        residuals, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    model, history = minimize_residuals(function, start)
    np.testing.assert_allclose(model.b.numpy(), scipys.x, rtol=1e-7, atol=1e-8)
    # Both count every trial point; SciPy's differences for the Jacobian are
    # left out on both sides.
    scipys = scipy.optimize.least_squares(
        residuals,
        start,
        jac=lambda b: dense_jacobian(function, b),
        method="lm",
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    attempts = 1 + len(history["attempts"])
    assert attempts >= 1 and scipys.nfev >= 1
