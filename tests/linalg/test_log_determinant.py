"""Log-determinants against `numpy.linalg.slogdet`."""

import numpy as np
import pytest

from keras_curvature.linalg import log_determinant
from tests.linalg.helpers import CountingOperator, symmetric

SPECTRUM = np.random.default_rng(5).uniform(0.5, 4, 60)


@pytest.mark.parametrize("damping", [0.0, 2.0])
def test_estimate_is_within_its_standard_error(damping):
    matrix = symmetric(SPECTRUM)
    estimate = log_determinant(matrix, damping=damping, steps=30, runs=40)
    _, expected = np.linalg.slogdet(matrix + damping * np.eye(60))
    logarithms = np.log(SPECTRUM + damping)
    # Of 40 vectors of length √n: 2·Σ(f − mean f)².
    variance = 2 * np.sum((logarithms - logarithms.mean()) ** 2) / 40
    assert abs(estimate.value - expected) < 4 * variance**0.5
    # The noise of a variance of 40 numbers is √(2/39) of it.
    np.testing.assert_allclose(estimate.standard_error**2, variance, rtol=0.9)


def test_what_all_vectors_agree_on_is_exact():
    estimate = log_determinant(3 * np.eye(20), steps=3, runs=2)
    np.testing.assert_allclose(estimate.value, 20 * np.log(3))
    damped = log_determinant(np.zeros((20, 20)), damping=3.0, runs=2)
    np.testing.assert_allclose(damped.value, 20 * np.log(3))
    assert max(estimate.standard_error, damped.standard_error) < 1e-12


def test_runs_share_passes():
    operator = CountingOperator(symmetric(SPECTRUM))
    assert log_determinant(operator, steps=6, runs=3).products == 18
    assert operator.widths == [3] * 6


@pytest.mark.parametrize("eigenvalues", [[2.0, -1.0, 3.0], [0.0]])
def test_what_has_no_logarithm_is_refused(eigenvalues):
    with pytest.raises(ValueError, match=r"positive definite.*Raise `damping`"):
        log_determinant(symmetric(eigenvalues))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`damping` must be a finite number ≥"):
        log_determinant(np.eye(3), damping=-1.0)
    with pytest.raises(ValueError, match="`runs` must be an integer ≥ 2"):
        log_determinant(np.eye(3), runs=1)
