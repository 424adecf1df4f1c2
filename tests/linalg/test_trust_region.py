"""The least-squares step within a trust region against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_curvature.linalg import trust_region_step
from tests.linalg.helpers import (
    KINDS,
    damped_matrix,
    dense_step,
    from_rows,
    scalar,
)


def dense_damping(rows, residuals, length):
    """The damping of a step of this length, found by SciPy."""
    logarithm = scipy.optimize.brentq(
        lambda log: (
            np.linalg.norm(dense_step(rows, residuals, np.exp(log))) - length
        ),
        -20,
        30,
    )
    return np.exp(logarithm)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(9, 4), (4, 7)])
@pytest.mark.parametrize("radius", [1e-6, 1e-2, 0.3])
def test_step_fills_the_trust_region_and_minimizes_within(
    kind, shape, radius, rng
):
    rows, residuals = rng.normal(size=shape), 3 * rng.normal(size=shape[0])
    factor = trust_region_step(
        from_rows(kind, rows, residuals), scalar(radius), scalar(0.0)
    )
    damping, length = factor.damping.numpy(), np.linalg.norm(factor.step)
    assert 0.9 * radius <= length <= 1.1 * radius
    np.testing.assert_allclose(
        factor.step, dense_step(rows, residuals, damping), rtol=1e-7
    )
    np.testing.assert_allclose(
        damping, dense_damping(rows, residuals, length), rtol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_factor_is_that_of_the_damping_found(kind, rng):
    rows, residuals = rng.normal(size=(9, 4)), rng.normal(size=9)
    factor = trust_region_step(
        from_rows(kind, rows, residuals), scalar(0.1), scalar(0.0)
    )
    vector = rng.normal(size=4)
    dense = np.linalg.solve(damped_matrix(rows, factor.damping), vector)
    np.testing.assert_allclose(factor.solve(vector), dense, rtol=1e-9)
    np.testing.assert_allclose(
        factor.inverse_form(vector), vector @ dense, rtol=1e-9
    )


@pytest.mark.parametrize("start", [0.0, 1e-3, 1e6])
def test_a_short_enough_step_is_free_wherever_the_search_starts(start, rng):
    rows, residuals = rng.normal(size=(9, 4)), rng.normal(size=9)
    factor = trust_region_step(
        from_rows("qr", rows, residuals), scalar(1e3), scalar(start)
    )
    assert factor.damping == 0
    np.testing.assert_allclose(
        factor.step, dense_step(rows, residuals, 0), rtol=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
def test_dependent_and_zero_columns_give_a_finite_step(kind, rng):
    rows = rng.normal(size=(9, 3))
    rows = np.concatenate([rows, rows[:, :1], np.zeros((9, 1))], axis=1)
    residuals = rng.normal(size=9)
    step = trust_region_step(
        from_rows(kind, rows, residuals), scalar(0.1), scalar(0.0)
    ).step
    assert 0.09 <= np.linalg.norm(step) <= 0.11
    np.testing.assert_allclose(step[0], step[3], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("share", [0.5, 1e-2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_more_unknowns_than_rows_do_not_leave_the_step_too_long(
    kind, condition, share, dtype, rng
):
    """Without damping, QR makes a long step of the rounding of A."""
    scale = condition ** -np.linspace(0, 1, 8)
    rows = (scale[:, None] * rng.normal(size=(8, 20))).astype(dtype)
    residuals = rng.normal(size=8).astype(dtype)
    radius = share * np.linalg.norm(dense_step(rows, residuals, 0))
    step = trust_region_step(
        from_rows(kind, rows, residuals),
        tf.constant(radius, dtype),
        tf.constant(0.0, dtype),
    ).step
    assert np.linalg.norm(step) <= 1.1 * radius


def test_too_little_damping_for_a_cholesky_factor_is_raised(rng):
    """The search starts where AᵀA + λI is not positive definite."""
    rows, residuals = np.eye(3), np.array([1.0, 2.0, 2.0])
    system = from_rows("cholesky", rows, residuals)
    # As if rounding had made AᵀA indefinite.
    system = system._replace(
        matrix=system.matrix - 2.5 * tf.eye(3, dtype=tf.float64)
    )
    assert np.isnan(system.factor(scalar(1.0)).step).all()
    factor = trust_region_step(system, scalar(0.5), scalar(1.0))
    np.testing.assert_allclose(np.linalg.norm(factor.step), 0.5, rtol=0.1)
    # (1 − 2.5 + λ)·z = −r
    np.testing.assert_allclose(
        factor.step, -residuals / (factor.damping - 1.5), rtol=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_is_finite_the_step_is_nan(kind, rng):
    rows = rng.normal(size=(5, 3))
    rows[1, 1] = np.nan
    factor = trust_region_step(
        from_rows(kind, rows, rng.normal(size=5)), scalar(1.0), scalar(0.0)
    )
    assert np.isnan(factor.step).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_iterations", [1, 2, 10])
def test_each_damping_is_factorized_once(
    kind, max_iterations, rng, monkeypatch
):
    counts = {"cholesky": 0, "qr": 0}
    for name in counts:
        monkeypatch.setattr(tf.linalg, name, counted(name, counts))
    rows, residuals = rng.normal(size=(3, 4)), rng.normal(size=3)
    system = from_rows(kind, rows, residuals)
    counts.update(cholesky=0, qr=0)
    factor = trust_region_step(
        system, scalar(1e-3), scalar(0.0), max_iterations=max_iterations
    )
    tried = counts.pop("qr" if kind == "qr" else "cholesky")
    assert 1 <= tried <= max_iterations
    assert tried > 1 or max_iterations == 1
    assert list(counts.values()) == [0]
    # Solutions need no other.
    counts.update(cholesky=0, qr=0)
    vector = tf.ones(4, tf.float64)
    factor.solve(vector), factor.inverse_form(vector)
    assert counts == {"cholesky": 0, "qr": 0}


def counted(name, counts):
    original = getattr(tf.linalg, name)

    def call(*args, **kwargs):
        counts[name] += 1
        return original(*args, **kwargs)

    return call
