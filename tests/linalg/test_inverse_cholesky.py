"""Inverse Cholesky factors against those of LAPACK."""

import numpy as np
import pytest

from keras_curvature.linalg.inverse_cholesky import (
    ROWS,
    invert_factor,
    lower_rows,
    span,
    whole,
)

# One block, blocks that fill the matrix, and a last one that does not.
SIZES = [1, 7, 2 * ROWS, 2 * ROWS + 5]


@pytest.mark.parametrize("size", SIZES)
def test_rows_become_those_of_the_inverse_factor(size, rng):
    root = rng.normal(size=(size, size))
    matrix = root @ root.T + np.eye(size)
    rows = lower_rows(matrix)
    np.testing.assert_array_equal(whole(rows), matrix)
    invert_factor(rows)
    expected = np.linalg.inv(np.linalg.cholesky(matrix))
    for row in rows:
        start, end = span(row)
        np.testing.assert_allclose(row, expected[start:end, :end], atol=1e-12)
        # Exactly triangular: the rest is not held.
        assert not np.triu(row[:, start:], 1).any()


def test_indefinite_matrices_have_no_factor(rng):
    root = rng.normal(size=(ROWS + 5, ROWS + 5))
    matrix = root @ root.T
    matrix[-1, -1] = -1
    with pytest.raises(np.linalg.LinAlgError):
        invert_factor(lower_rows(matrix))
