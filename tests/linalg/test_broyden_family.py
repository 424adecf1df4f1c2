"""Updates of Broyden's family against the papers' formulas in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.linalg import broyden_family
from tests.linalg import papers_updates

MEMBERS = {
    "bfgs": broyden_family.bfgs,
    "ssbfgs": broyden_family.self_scaled_bfgs,
    "ssbroyden": broyden_family.self_scaled_broyden,
}


def pair(rng, size, stretch=1.0):
    """(H, s, y) with H positive definite and y = A s for another such A."""
    half, root = rng.normal(size=(2, size, 2 * size))
    step = rng.normal(size=size)
    return half @ half.T / size, step, stretch * root @ root.T @ step


# Of pairs whose y is long or short H is too large or too small.
@pytest.mark.parametrize("stretch", [1e-3, 0.1, 1.0, 1e3])
@pytest.mark.parametrize("name", MEMBERS)
def test_the_update_is_the_papers_and_keeps_h_positive_definite(
    name, stretch, rng
):
    for size in (2, 5):
        inverse, s, y = pair(rng, size, stretch)
        b = s @ np.linalg.solve(inverse, s) / (y @ s)
        h = y @ inverse @ y / (y @ s)
        scale, parameter = (
            t.numpy()
            for t in MEMBERS[name](tf.constant(b), tf.constant(h), size)
        )
        expected = papers_updates.scale_and_parameter(name, inverse, s, y)
        np.testing.assert_allclose((scale, parameter), expected, rtol=1e-9)
        after = broyden_family.updated_inverse(
            *map(tf.constant, (inverse, s, y, scale, parameter))
        ).numpy()
        expected = papers_updates.updated_inverse(
            inverse, s, y, scale, parameter
        )
        error = np.abs(after - expected).max()
        assert error <= 1e-11 * np.abs(expected).max()
        np.testing.assert_allclose(after @ y, s, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(after, after.T, rtol=1e-12, atol=1e-13)
        assert np.linalg.eigvalsh(after).min() > 0


def test_bfgs_is_the_product_form(rng):
    inverse, s, y = pair(rng, 4)
    after = broyden_family.updated_inverse(
        *map(tf.constant, (inverse, s, y)), scale=1.0, parameter=1.0
    )
    left = np.eye(4) - np.outer(s, y) / (y @ s)
    expected = left @ inverse @ left.T + np.outer(s, s) / (y @ s)
    np.testing.assert_allclose(after, expected, rtol=1e-9)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_pair_that_h_fits_already_changes_nothing(name, rng):
    inverse, _, y = pair(rng, 3)
    s = inverse @ y
    scale, parameter = MEMBERS[name](
        tf.constant(1.0, "float64"), tf.constant(1.0, "float64"), 3
    )
    after = broyden_family.updated_inverse(
        *map(tf.constant, (inverse, s, y)), scale, parameter
    )
    # θ is a quotient of zeros there: a is taken for ε.
    np.testing.assert_allclose(after, inverse, rtol=1e-6)
