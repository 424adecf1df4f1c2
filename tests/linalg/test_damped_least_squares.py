"""The three forms of damped least squares against NumPy."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_curvature.linalg import (
    DualEquations,
    NormalEquations,
    StackedQR,
    trust_region_step,
)


def sliced(kind, rows, residuals):
    """The system from slices of three rows."""
    state = kind.empty(rows.shape[1], tf.float64)
    augmented = np.column_stack([rows, residuals])
    for start in range(0, len(rows), 3):
        part = tf.constant(augmented[start : start + 3])
        state = kind.add_rows(state, part)
    return kind(*state)


FORMS = {
    "cholesky": lambda rows, r: sliced(NormalEquations, rows, r),
    "qr": lambda rows, r: sliced(StackedQR, rows, r),
    "dual": lambda rows, r: DualEquations(tf.constant(rows), tf.constant(r)),
}


def dense_solution(rows, residuals, damping):
    """argmin ½‖A·z + r‖² + ½λ‖z‖² by NumPy's least squares."""
    size = rows.shape[1]
    stacked = np.concatenate([rows, np.sqrt(damping) * np.eye(size)])
    right = np.concatenate([-residuals, np.zeros(size)])
    return np.linalg.lstsq(stacked, right, rcond=None)[0]


@pytest.mark.parametrize("shape", [(11, 4), (4, 7)])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_dense_problem(form, shape, rng):
    rows, residuals = rng.normal(size=shape), rng.normal(size=shape[0])
    system = FORMS[form](rows, residuals)
    damping, vector = 0.3, rng.normal(size=shape[1])
    step, inverse_form = system.solve(tf.constant(damping, tf.float64))
    damped = rows.T @ rows + damping * np.eye(shape[1])
    for ours, dense in (
        (step, dense_solution(rows, residuals, damping)),
        (inverse_form(vector), vector @ np.linalg.solve(damped, vector)),
        (system.gradient, rows.T @ residuals),
        (system.column_norms, np.linalg.norm(rows, axis=0)),
    ):
        np.testing.assert_allclose(ours, dense, rtol=1e-10)


@pytest.mark.parametrize("form", ["cholesky", "qr"])
@pytest.mark.parametrize("shape", [(11, 4), (4, 7)])
def test_apply_inverse_solves_with_the_damped_matrix(form, shape, rng):
    rows, residuals = rng.normal(size=shape), rng.normal(size=shape[0])
    scaling, vector = rng.uniform(0.5, 2, shape[1]), rng.normal(size=shape[1])
    system = FORMS[form](rows, residuals).scaled(tf.constant(scaling))
    rows = rows / scaling
    for damping in (0.3, 1e3):
        damped = rows.T @ rows + damping * np.eye(shape[1])
        np.testing.assert_allclose(
            system.apply_inverse(tf.constant(damping, tf.float64), vector),
            np.linalg.solve(damped, vector),
            rtol=1e-10,
        )


@pytest.mark.parametrize("form", FORMS)
def test_scaling_changes_the_unknowns(form, rng):
    rows, residuals = rng.normal(size=(9, 4)), rng.normal(size=9)
    scaling = rng.uniform(0.1, 10, 4)
    system = FORMS[form](rows, residuals).scaled(tf.constant(scaling))
    step, _ = system.solve(tf.constant(0.2, tf.float64))
    dense = dense_solution(rows / scaling, residuals, 0.2)
    np.testing.assert_allclose(step, dense, rtol=1e-10)


def test_qr_keeps_the_digits_that_normal_equations_square_away(rng):
    # Condition number 1e7: AᵀA has 1e14.
    u, _ = np.linalg.qr(rng.normal(size=(20, 5)))
    v, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    rows = u @ np.diag(10.0 ** -np.linspace(0, 7, 5)) @ v
    z = rng.normal(size=5)
    errors = {}
    for form in ("cholesky", "qr"):
        step, _ = FORMS[form](rows, -rows @ z).solve(tf.zeros((), tf.float64))
        errors[form] = np.linalg.norm(step - z) / np.linalg.norm(z)
    assert errors["qr"] < 1e-8
    assert errors["cholesky"] > 100 * errors["qr"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(9, 4), (4, 7)])
@pytest.mark.parametrize("radius", [1e-6, 1e-2, 0.3])
def test_step_fills_the_trust_region_and_minimises_within(
    form, shape, radius, rng
):
    rows, residuals = rng.normal(size=shape), 3 * rng.normal(size=shape[0])
    step, damping = trust_region_step(
        FORMS[form](rows, residuals),
        tf.constant(radius, tf.float64),
        tf.zeros((), tf.float64),
    )
    length = np.linalg.norm(step)
    assert 0.9 * radius <= length <= 1.1 * radius
    np.testing.assert_allclose(
        step, dense_solution(rows, residuals, damping.numpy()), rtol=1e-7
    )
    # The damping is that of the length, found by SciPy.
    scipys = scipy.optimize.brentq(
        lambda log: (
            np.linalg.norm(dense_solution(rows, residuals, np.exp(log)))
            - length
        ),
        -20,
        30,
    )
    np.testing.assert_allclose(damping, np.exp(scipys), rtol=1e-6)


@pytest.mark.parametrize("start", [0.0, 1e-3, 1e6])
def test_a_short_enough_step_is_free_wherever_the_search_starts(start, rng):
    rows, residuals = rng.normal(size=(9, 4)), rng.normal(size=9)
    step, damping = trust_region_step(
        FORMS["qr"](rows, residuals),
        tf.constant(1e3, tf.float64),
        tf.constant(start, tf.float64),
    )
    assert damping == 0
    np.testing.assert_allclose(
        step, dense_solution(rows, residuals, 0), rtol=1e-10
    )


@pytest.mark.parametrize("form", FORMS)
def test_dependent_and_zero_columns_give_a_finite_step(form, rng):
    rows = rng.normal(size=(9, 3))
    rows = np.concatenate([rows, rows[:, :1], np.zeros((9, 1))], axis=1)
    residuals = rng.normal(size=9)
    step, _ = trust_region_step(
        FORMS[form](rows, residuals),
        tf.constant(0.1, tf.float64),
        tf.zeros((), tf.float64),
    )
    assert 0.09 <= np.linalg.norm(step) <= 0.11
    np.testing.assert_allclose(step[0], step[3], rtol=1e-6)
