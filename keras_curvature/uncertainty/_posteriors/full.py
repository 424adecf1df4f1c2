"""A precision with all correlations."""

import numpy as np


class Full:
    """G as a matrix.

    Args:
        arrays: Dict with `matrix`, of shape `(n, n)`.
    """

    def __init__(self, arrays):
        self.arrays = arrays

    @classmethod
    def from_curvature(cls, operator, options):
        """All of G."""
        return cls({"matrix": operator.to_dense().numpy().astype(float)})

    def at(self, scale, prior):
        """The distribution with the precision scale·G + diag(prior)."""
        return _FullNormal(scale * self.arrays["matrix"] + np.diag(prior))


class _FullNormal:
    def __init__(self, precision):
        self._root = np.linalg.cholesky(precision)
        diagonal = np.diag(self._root)
        self.log_determinant = 2 * float(np.sum(np.log(diagonal)))

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
