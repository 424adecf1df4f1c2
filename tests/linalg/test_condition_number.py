"""Condition numbers against `numpy.linalg.cond`."""

import numpy as np
import pytest

from keras_curvature.linalg import condition_number
from tests.linalg.helpers import symmetric

SPECTRA = {
    "spread": np.linspace(0.1, 7, 60),
    "repeated": np.repeat([1.0, 2.0, 100.0], 10),
    "one row": np.array([3.0]),
    "outliers": np.r_[1e4, np.linspace(1, 2, 60)],
}


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_condition_number_is_that_of_the_matrix(spectrum):
    matrix = symmetric(SPECTRA[spectrum])
    found = condition_number(matrix, tolerance=1e-12)
    exact = np.linalg.cond(matrix)
    np.testing.assert_allclose(found.value, exact, rtol=1e-9)
    assert abs(found.value - exact) <= found.error + 1e-12 * exact


def test_damping_is_added_to_all_eigenvalues():
    matrix = symmetric(np.r_[9, np.zeros(30)])
    found = condition_number(matrix, damping=1.0)
    np.testing.assert_allclose(found[:3], [10, 10, 1])
    assert str(found).startswith("10 ± ")


@pytest.mark.parametrize("smallest", [0.0, -1.0])
def test_what_is_not_positive_definite_is_refused(smallest):
    matrix = symmetric(np.r_[smallest, np.linspace(1, 2, 10)])
    with pytest.raises(ValueError, match=r"positive definite.*Raise `damping`"):
        condition_number(matrix)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`damping` must be a finite number ≥"):
        condition_number(np.eye(3), damping=-1.0)
