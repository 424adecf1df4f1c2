"""Conjugate gradients against `numpy.linalg.solve`."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.linalg import conjugate_gradient
from tests.linalg.helpers import CountingOperator, symmetric

SPECTRA = {
    "spread": np.linspace(1, 50, 60),
    "clustered": np.r_[1 + 1e-7 * np.arange(30), 9 + 1e-7 * np.arange(30)],
    "one value": np.full(5, 3.0),
    "one row": np.array([4.0]),
}


@pytest.mark.parametrize("damping", [0.0, 0.5])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_solution_is_that_of_the_dense_system(spectrum, damping, rng):
    matrix = symmetric(SPECTRA[spectrum])
    size = len(matrix)
    b = rng.standard_normal((size, 3))
    result = conjugate_gradient(matrix, b, damping=damping, tolerance=1e-12)
    damped = matrix + damping * np.eye(size)
    expected = np.linalg.solve(damped, b)
    np.testing.assert_allclose(result.solution, expected, atol=1e-10)
    left = b - damped @ result.solution.numpy()
    np.testing.assert_allclose(
        result.residuals,
        np.linalg.norm(left, axis=0) / np.linalg.norm(b, axis=0),
        atol=1e-14,
    )
    assert result.converged.all()


def test_a_vector_gives_a_vector():
    result = conjugate_gradient(np.diag([1.0, 4.0]), [2.0, 4.0])
    np.testing.assert_allclose(result.solution, [2, 1])


def test_as_many_products_as_different_eigenvalues_suffice():
    operator = CountingOperator(symmetric(np.repeat([1.0, 3.0, 8.0], 20)))
    result = conjugate_gradient(operator, np.ones((60, 2)))
    # Three, and one for the residual.
    assert operator.widths == [2] * 4
    assert (result.iterations, result.products) == (4, 8)


def test_a_singular_system_is_solved_within_the_range():
    matrix = symmetric(np.r_[0, 0, np.linspace(1, 2, 10)])
    b = matrix @ np.arange(12.0)
    result = conjugate_gradient(matrix, b, tolerance=1e-10)
    np.testing.assert_allclose(
        result.solution, np.linalg.pinv(matrix) @ b, atol=1e-8
    )


def test_zero_columns_are_solved_by_zeros():
    b = np.stack([np.zeros(10), np.ones(10)], axis=1)
    result = conjugate_gradient(symmetric(np.linspace(1, 2, 10)), b)
    np.testing.assert_array_equal(result.solution[:, 0], np.zeros(10))
    assert result.converged.all()


def test_a_preconditioner_saves_products():
    values = np.geomspace(1, 1e3, 60)
    matrix = np.diag(values) + symmetric(np.linspace(0, 0.2, 60))
    plain = conjugate_gradient(matrix, np.ones(60), tolerance=1e-10)
    helped = conjugate_gradient(
        matrix,
        np.ones(60),
        tolerance=1e-10,
        preconditioner=lambda r: r / values[:, np.newaxis],
    )
    expected = np.linalg.solve(matrix, np.ones(60))
    for result in (plain, helped):
        np.testing.assert_allclose(result.solution, expected, rtol=1e-6)
    assert 5 * helped.products < plain.products


def test_float32_reaches_the_residual_it_says():
    matrix = symmetric(np.geomspace(1e-2, 1, 60)).astype("float32")
    b = tf.ones([60])
    result = conjugate_gradient(matrix, b, tolerance=1e-4)
    left = 1 - matrix.astype("float64") @ result.solution.numpy()
    relative = np.linalg.norm(left) / 60**0.5
    np.testing.assert_allclose(result.residuals, relative, rtol=0.1)
    assert result.converged == [relative <= 1e-4]


def test_what_has_not_converged_is_marked():
    matrix = symmetric(np.geomspace(1e-4, 1, 60))
    with pytest.warns(UserWarning, match="1 of 1 systems.* after 6 passes"):
        result = conjugate_gradient(matrix, np.ones(60), max_iterations=5)
    assert not result.converged.any()
    assert str(result).startswith("not converged")


@pytest.mark.parametrize("eigenvalues", [[2.0, -1.0, 3.0], np.zeros(3)])
def test_an_operator_that_is_not_positive_is_refused(eigenvalues):
    with pytest.raises(ValueError, match=r"`operator` \+ `damping` must be"):
        conjugate_gradient(symmetric(eigenvalues), np.ones(3))


@pytest.mark.parametrize("factor", [-1.0, np.nan])
def test_a_preconditioner_that_is_not_positive_is_refused(factor):
    with pytest.raises(ValueError, match="`preconditioner` must be positive"):
        conjugate_gradient(
            np.eye(3), np.ones(3), preconditioner=lambda r: factor * r
        )


@pytest.mark.parametrize(
    "b, options, message",
    [
        (np.ones(4), {}, r"`b` must have the shape \(3,\) or \(3, col"),
        (tf.ones(3), {}, "dtype of the operator, float64"),
        ([1.0, np.nan, 1.0], {}, "`b` must be finite"),
        (np.ones(3), {"damping": -1.0}, "`damping` must be a finite number ≥"),
        (np.ones(3), {"tolerance": 0.0}, "`tolerance` must be a finite num"),
        (np.ones(3), {"max_iterations": 0}, "`max_iterations` must be an int"),
    ],
)
def test_wrong_arguments_are_named(b, options, message):
    with pytest.raises(ValueError, match=message):
        conjugate_gradient(np.eye(3), b, **options)
