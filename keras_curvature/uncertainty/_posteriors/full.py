"""A precision with all correlations."""

import numpy as np

from keras_curvature.operators.gauss_newton import GaussNewton


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
        """All of G."""
        return cls(
            {"matrix": factor * operator.to_dense().numpy().astype(float)}
        )

    def at(self, scale, prior):
        """The distribution with the precision scale·G + diag(prior)."""
        try:
            return _FullNormal(scale * self.arrays["matrix"], prior)
        except np.linalg.LinAlgError:
            # Rounding of a model in float32 left eigenvalues below zero.
            values, vectors = np.linalg.eigh(self.arrays["matrix"])
            positive = (vectors * np.maximum(values, 0)) @ vectors.T
            self.arrays["matrix"] = positive
            return _FullNormal(scale * positive, prior)


class _FullNormal:
    """P = D^½·(I + D^(−½)·G·D^(−½))·D^½, whose inner matrix is at least I."""

    def __init__(self, matrix, prior):
        lengths = 1 / np.sqrt(prior)
        inner = matrix * np.outer(lengths, lengths) + np.eye(len(prior))
        root = np.linalg.cholesky(inner)
        self.log_determinant = float(
            2 * np.sum(np.log(np.diag(root))) + np.sum(np.log(prior))
        )
        self._root = root / lengths[:, np.newaxis]

    @property
    def variances(self):
        inverse = np.linalg.inv(self._root)
        return np.sum(inverse**2, 0)

    def covariance(self, rows):
        """J·P⁻¹·Jᵀ for each J of an array of shape (batch, m, n)."""
        flat = rows.reshape(-1, rows.shape[-1])
        solved = np.linalg.solve(self._root, flat.T).T.reshape(rows.shape)
        return solved @ solved.transpose(0, 2, 1)

    def samples(self, normals):
        """P^(−½)·z for each row z of standard normal numbers."""
        return np.linalg.solve(self._root.T, normals.T).T
