"""A precision with all correlations."""

import functools

import numpy as np

from keras_curvature.operators.gauss_newton import GaussNewton

# Rows of a triangular matrix that NumPy inverts as any other.
_SMALL = 128


class Full:
    """G as a matrix.

    Args:
        arrays: Dict with `matrix`, of shape `(n, n)`.
    """

    operator = GaussNewton

    def __init__(self, arrays):
        self.arrays = arrays

    @classmethod
    def from_curvature(cls, operator, factor, rank):
        """All of G, in the dtype of the model."""
        matrix = operator.to_dense().numpy()
        matrix *= factor
        return cls({"matrix": matrix})

    def at(self, scale, prior):
        """The distribution with the precision scale·G + diag(prior)."""
        try:
            return _FullNormal(self.arrays["matrix"], scale, prior)
        except np.linalg.LinAlgError:
            # Rounding of a model in float32 left eigenvalues below zero.
            values, vectors = np.linalg.eigh(self.arrays["matrix"])
            positive = (vectors * np.maximum(values, 0)) @ vectors.T
            self.arrays["matrix"] = positive
            return _FullNormal(positive, scale, prior)


class _FullNormal:
    """P = D^½·(I + D^(−½)·G·D^(−½))·D^½, whose inner matrix is at least I."""

    def __init__(self, matrix, scale, prior):
        lengths = 1 / np.sqrt(prior)
        inner = np.multiply(matrix, scale * lengths, dtype=float)
        inner *= lengths[:, np.newaxis]
        inner[np.diag_indices_from(inner)] += 1
        root = np.linalg.cholesky(inner)
        del inner
        self.log_determinant = float(
            2 * np.sum(np.log(np.diag(root))) + np.sum(np.log(prior))
        )
        root /= lengths[:, np.newaxis]
        self._root = root

    @property
    def variances(self):
        return np.sum(self._inverse_root**2, 0)

    def covariance(self, rows):
        """J·P⁻¹·Jᵀ of each sample, `(batch, m, m)`, of `DenseRows` or such."""
        solved = rows.times(self._inverse_root.T)
        return solved @ solved.transpose(0, 2, 1)

    def samples(self, normals):
        """P^(−½)·z for each row z of standard normal numbers."""
        return normals @ self._inverse_root

    @functools.cached_property
    def _inverse_root(self):
        # The root itself, as large again, is not needed any more.
        return _inverse_of_triangular(self.__dict__.pop("_root"))


def _inverse_of_triangular(root):
    """The inverse of a lower triangular matrix, by products of its blocks.

    NumPy itself would factorize it, at six times the price.
    """
    size = len(root)
    if size <= _SMALL:
        return np.linalg.inv(root)
    half = size // 2
    inverse = np.zeros_like(root)
    inverse[:half, :half] = _inverse_of_triangular(root[:half, :half])
    inverse[half:, half:] = _inverse_of_triangular(root[half:, half:])
    below = inverse[half:, half:] @ root[half:, :half]
    inverse[half:, :half] = -below @ inverse[:half, :half]
    return inverse
