"""Each least-squares system, and its factors, against dense NumPy."""

import mpmath
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.linalg import DampedFactor, LeastSquaresSystem
from tests.linalg.helpers import (
    KINDS,
    damped_matrix,
    dense_step,
    from_rows,
    scalar,
)

SHAPES = [(11, 4), (4, 7), (1, 1), (1, 3)]


def in_slices(kind, rows, residuals):
    system = KINDS[kind].zeros(rows.shape[1], tf.float64)
    augmented = np.column_stack([rows, residuals])
    for start in range(0, len(rows), 3):
        system = system.with_rows(tf.constant(augmented[start : start + 3]))
    return system


def assert_is_dense(system, rows, residuals, rng, damping=0.3):
    vector = rng.normal(size=rows.shape[1])
    factor = system.factor(scalar(damping))
    damped = damped_matrix(rows, damping)
    for ours, dense in (
        (system.gradient, rows.T @ residuals),
        (system.column_norms, np.linalg.norm(rows, axis=0)),
        (factor.damping, damping),
        (factor.step, dense_step(rows, residuals, damping)),
        (factor.solve(vector), np.linalg.solve(damped, vector)),
        (
            factor.inverse_form(vector),
            vector @ np.linalg.solve(damped, vector),
        ),
    ):
        np.testing.assert_allclose(ours, dense, rtol=1e-10, atol=1e-13)
    if factor.holds_rows:
        rights = rng.normal(size=len(rows))
        np.testing.assert_allclose(
            factor.solve_rows(rights),
            np.linalg.solve(damped, rows.T @ rights),
            rtol=1e-10,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_system_and_its_factor_keep_the_protocol(kind, rng):
    system = from_rows(kind, rng.normal(size=(3, 2)), rng.normal(size=3))
    for thing, protocol in (
        (system, LeastSquaresSystem),
        (system.factor(1.0), DampedFactor),
    ):
        members = {n for n in vars(protocol) if not n.startswith("_")}
        members |= set(protocol.__annotations__)
        for name in members:
            assert hasattr(thing, name), name
        assert all(tf.is_tensor(t) for t in tf.nest.flatten(thing))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_system_is_the_dense_problem(kind, shape, rng):
    rows, residuals = rng.normal(size=shape), rng.normal(size=shape[0])
    for make in (from_rows, in_slices):
        assert_is_dense(make(kind, rows, residuals), rows, residuals, rng)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damping", [0.3, 1e3])
def test_scaling_divides_the_columns(kind, damping, rng):
    for shape in SHAPES:
        rows, residuals = rng.normal(size=shape), rng.normal(size=shape[0])
        scaling = rng.uniform(0.1, 10, shape[1])
        system = from_rows(kind, rows, residuals).scaled(tf.constant(scaling))
        assert_is_dense(system, rows / scaling, residuals, rng, damping)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_diagonal_adds_as_many_rows(kind, shape, rng):
    rows, residuals = rng.normal(size=shape), rng.normal(size=shape[0])
    diagonal, more = rng.normal(size=(2, shape[1]))
    system = from_rows(kind, rows, residuals)
    system = system.with_diagonal(tf.constant(diagonal), tf.constant(more))
    rows = np.concatenate([rows, np.diag(diagonal)])
    residuals = np.concatenate([residuals, more])
    assert_is_dense(system, rows, residuals, rng)
    # Nor is what was added lost when it is scaled, or has more rows.
    scaling = rng.uniform(0.5, 2, shape[1])
    assert_is_dense(
        system.scaled(tf.constant(scaling)), rows / scaling, residuals, rng
    )
    last = rng.normal(size=(1, shape[1] + 1))
    assert_is_dense(
        system.with_rows(tf.constant(last)),
        np.concatenate([rows, last[:, :-1]]),
        np.concatenate([residuals, last[:, -1]]),
        rng,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_as_damping_keeps_all_its_digits(kind, rng):
    rows, residuals = rng.normal(size=(4, 7)), rng.normal(size=4)
    factor = from_rows(kind, rows, residuals).factor(0.1)
    np.testing.assert_allclose(
        factor.step, dense_step(rows, residuals, 0.1), rtol=1e-12
    )


@pytest.mark.parametrize("kind", ["cholesky", "qr"])
def test_without_damping_it_is_the_least_squares_solution(kind, rng):
    rows, residuals = rng.normal(size=(11, 4)), rng.normal(size=11)
    assert_is_dense(
        from_rows(kind, rows, residuals), rows, residuals, rng, damping=0
    )


def test_without_damping_the_dual_step_is_the_shortest_of_all(rng):
    rows, residuals = rng.normal(size=(4, 7)), rng.normal(size=4)
    rights = rng.normal(size=4)
    factor = from_rows("dual", rows, residuals).factor(scalar(0.0))
    inverse = np.linalg.pinv(rows)
    np.testing.assert_allclose(factor.step, -inverse @ residuals, rtol=1e-10)
    np.testing.assert_allclose(
        factor.solve_rows(rights), inverse @ rights, rtol=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
def test_least_damping_keeps_a_factor_of_dependent_columns_and_rows(kind, rng):
    rows = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 6))
    rows[:, 3] = 0
    residuals = rng.normal(size=5)
    for scale in (1e-8, 1.0, 1e8):
        system = from_rows(kind, scale * rows, residuals)
        least = system.least_damping
        assert 0 <= least <= 1e-14 * np.sum((scale * rows) ** 2)
        if kind != "qr":
            assert np.isfinite(system.factor(least).step).all()
        # With as much damping as can be told, the step is that of NumPy.
        damping = 1e-3 * scale**2
        np.testing.assert_allclose(
            system.factor(damping).step,
            dense_step(scale * rows, residuals, damping),
            rtol=1e-9,
            atol=1e-9 / scale,
        )


@pytest.mark.parametrize("kind", ["cholesky", "dual"])
def test_without_a_cholesky_factor_all_results_are_nan(kind):
    system = from_rows(kind, np.diag([1.0, 0.0]), np.ones(2))
    factor = system.factor(scalar(-0.5))
    vector = tf.ones(2, tf.float64)
    assert np.isnan(factor.step).all()
    assert np.isnan(factor.solve(vector)).all()
    assert np.isnan(factor.inverse_form(vector))
    if factor.holds_rows:
        assert np.isnan(factor.solve_rows(vector)).all()


def test_qr_keeps_the_digits_that_normal_equations_square_away(rng):
    # Condition number 1e7: AᵀA has 1e14.
    u, _ = np.linalg.qr(rng.normal(size=(20, 5)))
    v, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    rows = u @ np.diag(10.0 ** -np.linspace(0, 7, 5)) @ v
    z = rng.normal(size=5)
    errors = {}
    for kind in ("cholesky", "qr"):
        step = from_rows(kind, rows, -rows @ z).factor(scalar(0.0)).step
        errors[kind] = np.linalg.norm(step - z) / np.linalg.norm(z)
    assert errors["qr"] < 1e-8
    assert errors["cholesky"] > 100 * errors["qr"]


def grown_in_a_loop(kind, rows, residuals):
    """The system whose rows a while loop adds one by one."""
    empty = KINDS[kind].zeros(rows.shape[1], rows.dtype)
    augmented = tf.concat([rows, residuals[:, tf.newaxis]], axis=1)
    shapes = tf.nest.map_structure(lambda t: t.shape, empty)
    if kind == "dual":
        free = (None,)
        shapes = KINDS[kind](
            *map(tf.TensorShape, [(None, rows.shape[1]), free, (None, None)])
        )
    _, system = tf.while_loop(
        lambda i, _: i < tf.shape(rows)[0],
        lambda i, system: (i + 1, system.with_rows(augmented[i : i + 1])),
        (tf.constant(0), empty),
        shape_invariants=(tf.TensorShape([]), shapes),
    )
    return system


@pytest.mark.parametrize("kind", KINDS)
def test_a_while_loop_carries_system_and_factor(kind, rng):
    rows, residuals = rng.normal(size=(6, 4)), rng.normal(size=6)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 4), tf.float64),
            tf.TensorSpec((None,), tf.float64),
        ],
        autograph=False,
    )
    def grown(rows, residuals):
        system = grown_in_a_loop(kind, rows, residuals)
        # The largest of three dampings, each with its factor.
        _, factor = tf.while_loop(
            lambda damping, _: damping < 2.5,
            lambda damping, _: (damping + 1, system.factor(damping + 1)),
            (scalar(1.0), system.factor(1.0)),
        )
        return system, factor

    system, factor = grown(rows, residuals)
    assert isinstance(system, KINDS[kind])
    assert_is_dense(system, rows, residuals, rng)
    assert factor.damping == 3
    np.testing.assert_allclose(
        factor.step, dense_step(rows, residuals, 3), rtol=1e-10
    )
    vector = rng.normal(size=4)
    np.testing.assert_allclose(
        factor.solve(vector),
        np.linalg.solve(damped_matrix(rows, 3), vector),
        rtol=1e-10,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_shift_adds_to_the_residuals(kind, rng):
    for shape in SHAPES:
        rows, residuals = rng.normal(size=shape), rng.normal(size=shape[0])
        shift = rng.normal(size=shape[1])
        system = from_rows(kind, rows, residuals).shifted(tf.constant(shift))
        assert_is_dense(system, rows, residuals + rows @ shift, rng)


@pytest.mark.parametrize("damping", [0.0, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_is_0_and_the_rest_minimizes(kind, damping, rng):
    rows, residuals = rng.normal(size=(11, 4)), rng.normal(size=11)
    if kind == "dual":
        # Without damping it needs fewer rows than unknowns.
        rows, residuals = rows[:2], residuals[:2]
    is_held = np.array([False, True, False, False])
    system = from_rows(kind, rows, residuals).holding(tf.constant(is_held))
    step = system.factor(scalar(damping)).step.numpy()
    assert step[1] == 0
    free = rows[:, ~is_held]
    if damping:
        expected = dense_step(free, residuals, damping)
    else:
        expected = -np.linalg.pinv(free) @ residuals
    np.testing.assert_allclose(step[~is_held], expected, rtol=1e-9)


def test_the_dual_step_of_dependent_rows_keeps_seven_digits(rng):
    # 40 rows of rank 5, which the residuals are far from.
    rows, residuals = rng.normal(size=(40, 5)), rng.normal(size=40)
    system = from_rows("dual", rows, residuals)
    step = system.factor(system.least_damping).step
    exact = np.linalg.lstsq(rows, -residuals, rcond=None)[0]
    np.testing.assert_allclose(step, exact, rtol=0, atol=1e-7)


def test_the_dual_step_loses_no_digits_to_its_squared_matrix(rng):
    # Rows of nearly low rank and residuals that they cannot reach: Cholesky's
    # factor of AAᵀ + λI alone gives the step to a relative 1e-6 to 5e-5.
    left, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    right, _ = np.linalg.qr(rng.normal(size=(60, 20)))
    rows, residuals = left * np.logspace(0, -12, 20) @ right.T, left.sum(1)
    damping = 1e-12
    factor = from_rows("dual", rows, residuals).factor(scalar(damping))
    with mpmath.workdps(50):
        a = mpmath.matrix(rows.tolist())
        square = a * a.T + mpmath.mpf(damping) * mpmath.eye(20)
        solution = mpmath.lu_solve(square, mpmath.matrix(residuals.tolist()))
        exact = np.array([float(value) for value in a.T * solution])
    # ε·‖A‖·‖r‖/λ.
    rounding = 2.2e-16 * np.linalg.norm(residuals) / damping
    for step in (-factor.step, factor.solve_rows(tf.constant(residuals))):
        assert np.linalg.norm(step - exact) < 3 * rounding
    assert rounding < 1e-7 * np.linalg.norm(exact)
