"""LevenbergMarquardt within bounds, against SciPy."""

import keras
import numpy as np
import pytest
import scipy.optimize

import keras_curvature
from keras_curvature.constraints import Box
from keras_curvature.optimizers import (
    LBFGS,
    AdaHessian,
    GaussNewton,
    LevenbergMarquardt,
    SelfScaledBroyden,
)
from tests.optimizers.least_squares.helpers import fit

X = np.linspace(0, 3, 40)[:, None]
Y = 2 * np.exp(-1.3 * X) + 0.3 + 0.05 * np.cos(17 * X)
FREE = np.inf


class Regression(keras_curvature.Model):
    def __init__(self, formula, start, box):
        super().__init__()
        self.formula = formula
        self.b = self.add_weight(shape=(len(start),), name="b", constraint=box)
        self.b.assign(start)

    def call(self, x):
        return self.formula(self.b, x)


def exponential(b, x, exp=keras.ops.exp):
    return b[0] * exp(-b[1] * x) + b[2]


def two_exponentials(b, x, exp=keras.ops.exp):
    return b[0] * exp(-b[1] * x) + b[2] * exp(-b[3] * x)


def dependent(b, x, exp=None):
    return (b[0] + b[1]) * x + b[2] * x * x + 1.001 * b[1]


# Name: formula, start, lower and upper bounds.
CASES = {
    "two active": (exponential, [1.0, 1, 1], [0, 0, 0.5], [1.8, 5, 2]),
    "one-sided": (exponential, [1.0, 1, 1], [-FREE, 1.5, 0], [FREE] * 3),
    "from a corner": (exponential, [0.0, 0, 0], [0] * 3, [FREE, FREE, 0.25]),
    "two exponentials": (
        two_exponentials,
        [1.0, 0.5, 1, 2],
        [0, 0, 0, 1.5],
        [10, 1, 10, 3],
    ),
    "dependent": (dependent, [0.5] * 3, [0] * 3, [1, 0.6, 0.3]),
    "beyond": (exponential, [5.0, -3, 0.2], [0, 0, 0.5], [1.8, 5, 2]),
}


def scipys(formula, start, lower, upper):
    """The solution of `trf`, whose start has to lie inside."""

    def residuals(b):
        return (formula(b, X, np.exp) - Y)[:, 0]

    span = np.where(np.isfinite(upper), upper, 10.0)
    inside = np.clip(start, np.add(lower, 1e-3), span - 1e-3)
    tolerances = dict(xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return scipy.optimize.least_squares(
        residuals, inside, bounds=(lower, upper), **tolerances
    )


@pytest.mark.parametrize(
    "name, options",
    [
        *((name, {}) for name in CASES),
        ("two active", {"linear_solver": "cholesky", "scaling": "marquardt"}),
        ("two active", {"linear_solver": "dual"}),
    ],
    ids=str,
)
def test_the_minimum_within_bounds_is_scipys(name, options, float64):
    formula, start, lower, upper = CASES[name]
    expected = scipys(formula, start, lower, upper)
    model = Regression(formula, start, Box(lower, upper))
    model.compile(LevenbergMarquardt(**options), "mse", jit_compile=False)
    fit(model, X, Y, 60)
    b = model.b.numpy()
    assert (b >= lower).all() and (b <= upper).all()
    cost = np.sum((formula(b, X, np.exp) - Y) ** 2) / 2
    assert cost <= expected.cost * (1 + 1e-12)
    # SciPy's iterates stay inside, its active bounds are reached to 1e-8.
    np.testing.assert_allclose(b, expected.x, rtol=1e-6, atol=1e-6)
    active = expected.active_mask
    np.testing.assert_array_equal(b[active < 0], np.array(lower)[active < 0])
    np.testing.assert_array_equal(b[active > 0], np.array(upper)[active > 0])
    assert model.optimizer.stop_reason is not None


def test_each_step_keeps_the_bounds_and_the_first_one_enters(float64):
    formula, start, lower, upper = CASES["beyond"]
    model = Regression(formula, start, Box(lower, upper))
    model.compile(LevenbergMarquardt(), "mse", jit_compile=False)
    losses = []
    for step in range(12):
        losses.append(model.train_on_batch(X, Y))
        b = model.b.numpy()
        assert (b >= lower).all() and (b <= upper).all()
        if step == 0:
            np.testing.assert_array_equal(b, np.clip(start, lower, upper))
    assert (np.diff(losses[1:]) <= 0).all()


def test_non_negative_kernels_of_a_layer_are_those_of_nnls(float64, rng):
    x = rng.normal(size=(30, 5))
    y = x @ [1.0, -1, 0.5, -0.2, 2] + 0.1 * rng.normal(size=30)
    model = keras_curvature.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(1, use_bias=False, kernel_constraint="non_neg"),
        ]
    )
    model.compile(LevenbergMarquardt("cholesky"), "mse", jit_compile=False)
    fit(model, x, y[:, None], 30)
    expected, _ = scipy.optimize.nnls(x, y)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], expected, 1e-9)


def test_a_free_variable_beside_a_bounded_one_and_float32(rng):
    x = rng.normal(size=(30, 2)).astype("float32")
    y = (x @ [[2.0], [0.5]] + 3).astype("float32")
    model = keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(1, kernel_constraint=Box(upper=[[1.0], [FREE]])),
        ]
    )
    model.compile(LevenbergMarquardt(), "mse", jit_compile=False)
    fit(model, x, y, 30)
    kernel, bias = (w.ravel() for w in model.get_weights())
    rest = np.stack([x[:, 1], np.ones(30)], axis=1)
    best = np.linalg.lstsq(rest, y[:, 0] - x[:, 0], rcond=None)[0]
    assert kernel[0] == 1
    np.testing.assert_allclose([kernel[1], bias[0]], best, rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer, constraint, message",
    [
        (LevenbergMarquardt, keras.constraints.UnitNorm(), "Box"),
        (LevenbergMarquardt, Box([0.0, 0, 0]), "broadcast"),
        (GaussNewton, Box(0.0), "LevenbergMarquardt"),
        (LBFGS, Box(0.0), "LevenbergMarquardt"),
        (SelfScaledBroyden, Box(0.0), "LevenbergMarquardt"),
    ],
    ids=["unit_norm", "shape", "gauss_newton", "lbfgs", "broyden"],
)
def test_what_cannot_be_kept_is_refused(optimizer, constraint, message):
    model = Regression(exponential, [1.0] * 4, constraint)
    with pytest.raises(ValueError, match=message):
        optimizer().build([model.b])
        model.compile(optimizer(), "mse")
        fit(model, X, Y, 1)


def test_an_optimizer_for_mini_batches_clips_to_the_box():
    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, kernel_constraint=Box(-1, 1))]
    )
    model.compile(AdaHessian(learning_rate=1.0), "mse", run_eagerly=True)
    model.fit(X, 5 * X, batch_size=40, epochs=10, verbose=0)
    assert model.get_weights()[0].max() == 1
