"""Norms against `numpy.linalg.norm`."""

import numpy as np
import pytest

from keras_curvature.linalg import frobenius_norm, spectral_norm
from tests.linalg.helpers import CountingOperator, symmetric

RANDOM = np.random.default_rng(4).uniform(-1, 1, 60)


@pytest.mark.parametrize(
    "eigenvalues", [RANDOM, np.r_[1, -3, RANDOM / 5], [-2.0], np.zeros(5)]
)
def test_spectral_norm(eigenvalues):
    matrix = symmetric(eigenvalues)
    np.testing.assert_allclose(
        spectral_norm(matrix), np.linalg.norm(matrix, 2), rtol=1e-12
    )


def test_frobenius_norm_is_exact_with_as_many_probes_as_rows():
    matrix = symmetric(RANDOM)
    estimate = frobenius_norm(matrix)
    np.testing.assert_allclose(estimate.value, np.linalg.norm(matrix))
    assert estimate[1:] == (0, 60)


def test_the_frobenius_norm_of_zero_is_zero():
    assert frobenius_norm(np.zeros((30, 30)), probes=4)[:2] == (0, 0)


def test_frobenius_norm_is_within_its_standard_error():
    matrix = symmetric(RANDOM)
    found = [frobenius_norm(matrix, probes=20, seed=s) for s in range(40)]
    exact = np.linalg.norm(matrix)
    # Var zᵀA²z = 2·Σᵢ≠ⱼ bᵢⱼ² of B = A².
    squared = matrix @ matrix
    off = squared - np.diag(np.diag(squared))
    expected = np.sqrt(2 * np.sum(off**2) / 20) / (2 * exact)
    errors = np.array([e.value for e in found]) - exact
    reported = np.sqrt(np.mean([e.standard_error**2 for e in found]))
    # 40·19 degrees of freedom for the one, 40 for the other.
    np.testing.assert_allclose(reported, expected, rtol=0.12)
    np.testing.assert_allclose(np.sqrt(np.mean(errors**2)), expected, rtol=0.4)


def test_probes_share_passes():
    operator = CountingOperator(symmetric(RANDOM))
    assert frobenius_norm(operator, probes=9).products == 9
    assert operator.widths == [9]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`probes` must be an integer ≥ 2"):
        frobenius_norm(np.eye(3), probes=1)
    with pytest.raises(ValueError, match="`max_iterations` must be an int"):
        spectral_norm(np.eye(3), max_iterations=0)
