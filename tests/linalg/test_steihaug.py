"""Steihaug's method: the boundary, negative curvature, several radii."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_curvature.linalg import steihaug

FAR = 1e6


def matrix(eigenvalues, seed=0):
    size = len(eigenvalues)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))
    return (q * np.asarray(eigenvalues)) @ q.T


def solve(hessian, gradient, radii, tolerance=1e-12, most=50, **settings):
    hessian = tf.constant(hessian)
    return steihaug(
        lambda v: tf.linalg.matvec(hessian, v),
        tf.constant(gradient),
        radii,
        tolerance,
        most,
        **settings,
    )


@pytest.fixture
def gradient(rng):
    return rng.normal(size=8)


def test_is_newtons_step_where_the_region_is_large(gradient):
    hessian = matrix(np.logspace(0, 2, 8))
    found = solve(hessian, gradient, [FAR])
    step = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(found.steps[0], step, rtol=1e-9)
    np.testing.assert_allclose(found.slopes[0], gradient @ step, 1e-9)
    np.testing.assert_allclose(found.curvatures[0], step @ hessian @ step, 1e-9)
    np.testing.assert_allclose(found.lengths[0], np.linalg.norm(step), 1e-9)
    assert not found.negative_curvature


def test_stops_at_the_forcing_term(gradient):
    hessian = matrix(np.logspace(0, 3, 8))
    found = solve(hessian, gradient, [FAR], tolerance=0.3)
    residual = gradient + hessian @ found.steps[0].numpy()
    assert np.linalg.norm(residual) <= 0.3 * np.linalg.norm(gradient)
    before = solve(
        hessian, gradient, [FAR], tolerance=0, most=int(found.iterations) - 1
    )
    residual = gradient + hessian @ before.steps[0].numpy()
    assert np.linalg.norm(residual) > 0.3 * np.linalg.norm(gradient)


def test_ends_at_the_boundary_and_gains_what_steihaug_promises(gradient):
    hessian = matrix(np.logspace(0, 2, 8))
    radius = 0.1 * np.linalg.norm(np.linalg.solve(hessian, gradient))
    found = solve(hessian, gradient, [radius])
    step = found.steps[0].numpy()
    assert np.linalg.norm(step) == pytest.approx(radius, rel=1e-12)
    # Yuan, 2000: at least half of what the exact solution gains.
    exact = scipy.optimize.minimize(
        lambda p: gradient @ p + p @ hessian @ p / 2,
        step,
        constraints={"type": "ineq", "fun": lambda p: radius**2 - p @ p},
        options={"ftol": 1e-12},
    ).fun
    assert gradient @ step + step @ hessian @ step / 2 <= exact / 2


def test_follows_negative_curvature_to_the_boundary(gradient):
    hessian = matrix([-1, 1, 2, 3, 4, 5, 6, 7])
    found = solve(hessian, gradient, [3.0])
    step, direction = found.steps[0].numpy(), found.direction.numpy()
    assert found.negative_curvature
    assert np.linalg.norm(step) == pytest.approx(3, rel=1e-12)
    assert direction @ hessian @ direction < 0
    np.testing.assert_allclose(
        found.direction_curvature, direction @ hessian @ direction, rtol=1e-9
    )
    np.testing.assert_allclose(found.slopes[0], gradient @ step, 1e-9)
    np.testing.assert_allclose(found.curvatures[0], step @ hessian @ step, 1e-9)


@pytest.mark.parametrize("lowest", [1.0, -2.0])
def test_smaller_radii_give_the_steps_of_runs_of_their_own(gradient, lowest):
    hessian = matrix([lowest, 1.5, 2, 3, 10, 20, 30, 100])
    radii = [1.0, 0.25, 0.02]
    together = solve(hessian, gradient, radii)
    for i, radius in enumerate(radii):
        alone = solve(hessian, gradient, [radius])
        np.testing.assert_allclose(
            together.steps[i], alone.steps[0], rtol=1e-10
        )
        for field in ("slopes", "curvatures", "lengths"):
            np.testing.assert_allclose(
                getattr(together, field)[i], getattr(alone, field)[0], 1e-10
            )


def test_a_perfect_preconditioner_needs_one_product(gradient):
    hessian = matrix(np.logspace(0, 4, 8))
    inverse = tf.constant(np.linalg.inv(hessian))
    found = solve(
        hessian,
        gradient,
        [FAR],
        tolerance=1e-8,
        preconditioner=lambda r: tf.linalg.matvec(inverse, r),
    )
    assert int(found.iterations) == 1
    step = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(found.steps[0], step, rtol=1e-8)
    # The region is that of the norm ‖p‖_M, M = H.
    length = np.sqrt(step @ hessian @ step)
    np.testing.assert_allclose(found.lengths[0], length, rtol=1e-8)


def test_the_boundary_is_that_of_the_preconditioners_norm(gradient):
    hessian = matrix(np.logspace(0, 2, 8))
    diagonal = np.logspace(0, 1, 8)
    found = solve(
        hessian, gradient, [0.05], preconditioner=lambda r: r / diagonal
    )
    step = found.steps[0].numpy()
    length = np.sqrt(step @ (diagonal * step))
    assert length == pytest.approx(0.05, rel=1e-10)


def test_takes_no_more_products_than_allowed(gradient):
    hessian = matrix(np.logspace(0, 4, 8))
    assert int(solve(hessian, gradient, [FAR], most=3).iterations) == 3


def test_a_product_that_is_not_finite_leaves_the_step_finite(gradient):
    found = solve(np.full((8, 8), np.nan), gradient, [2.0])
    step = -2 * gradient / np.linalg.norm(gradient)
    np.testing.assert_allclose(found.steps[0], step, rtol=1e-12)


@pytest.mark.parametrize("jit", [False, True])
def test_runs_in_a_graph(gradient, jit):
    hessian = matrix([-1, 1, 2, 3, 4, 5, 6, 7])

    @tf.function(jit_compile=jit)
    def compiled():
        return solve(hessian, gradient, [2.0, 0.5]).steps

    np.testing.assert_allclose(
        compiled(), solve(hessian, gradient, [2.0, 0.5]).steps, rtol=1e-9
    )
