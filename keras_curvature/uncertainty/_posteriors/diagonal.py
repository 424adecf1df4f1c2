"""A precision without correlations."""

import numpy as np

from keras_curvature.operators.gauss_newton import GaussNewton


class Diagonal:
    """The diagonal of G.

    Args:
        arrays: Dict with `diagonal`, of shape `(n,)`.
    """

    operator = GaussNewton

    def __init__(self, arrays):
        self.arrays = arrays

    @classmethod
    def from_curvature(cls, operator, factor, rank):
        """The exact diagonal of G."""
        return cls(
            {"diagonal": factor * operator.diagonal().numpy().astype(float)}
        )

    def at(self, scale, prior):
        """The distribution with the precision scale·G + diag(prior)."""
        return _DiagonalNormal(scale * self.arrays["diagonal"] + prior)


class _DiagonalNormal:
    def __init__(self, precision):
        self.log_determinant = float(np.sum(np.log(precision)))
        self.variances = 1 / precision

    def covariance(self, rows):
        """J·P⁻¹·Jᵀ of each sample, `(batch, m, m)`, of `DenseRows` or such."""
        return rows.quadratic(self.variances)

    def samples(self, normals):
        """P^(−½)·z for each row z of standard normal numbers."""
        return normals * np.sqrt(self.variances)
