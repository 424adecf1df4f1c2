"""A precision that is the prior but in the directions of most curvature."""

import numpy as np

from keras_curvature.linalg.eigenpairs import eigenpairs
from keras_curvature.operators.gauss_newton import GaussNewton


class LowRank:
    """The largest eigenvalues of G with their eigenvectors.

    Args:
        arrays: Dict with `values`, of shape `(k,)`, and `vectors`, `(n, k)`.
    """

    operator = GaussNewton

    def __init__(self, arrays):
        self.arrays = arrays

    @classmethod
    def from_curvature(cls, operator, factor, rank):
        """The `rank` largest eigenvalues of G, by Lanczos."""
        rank = min(rank, operator.shape[0])
        found = eigenpairs(operator, k=rank, which="largest")
        values = factor * np.asarray(found.values, float)
        vectors = np.asarray(found.vectors, float)
        # What rounding leaves of zeros.
        seen = values > values.max(initial=0) * 1e-12
        return cls({"values": values[seen], "vectors": vectors[:, seen]})

    def at(self, scale, prior):
        """The distribution with the precision scale·G + diag(prior)."""
        lengths = np.sqrt(scale * self.arrays["values"])
        return _LowRankNormal(self.arrays["vectors"] * lengths, prior)


class _LowRankNormal:
    """P = A·Aᵀ + D, by the thin SVD of D^(−½)·A = Q·S·Vᵀ:

    P⁻¹ = D^(−½)·(I − Q·diag(S²/(1+S²))·Qᵀ)·D^(−½)
    """

    def __init__(self, root, prior):
        self._lengths = 1 / np.sqrt(prior)
        self._basis, values, _ = np.linalg.svd(
            root * self._lengths[:, np.newaxis], full_matrices=False
        )
        self._squares = values**2
        self.log_determinant = float(
            np.sum(np.log(prior)) + np.sum(np.log1p(self._squares))
        )

    @property
    def variances(self):
        shares = self._squares / (1 + self._squares)
        left = 1 - np.sum(self._basis**2 * shares, 1)
        return self._lengths**2 * left

    def covariance(self, rows):
        """J·P⁻¹·Jᵀ of each sample, `(batch, m, m)`, of `DenseRows` or such."""
        seen = rows.times(self._lengths[:, np.newaxis] * self._basis)
        shares = self._squares / (1 + self._squares)
        return rows.quadratic(self._lengths**2) - (
            (seen * shares) @ seen.transpose(0, 2, 1)
        )

    def samples(self, normals):
        """P^(−½)·z for each row z of standard normal numbers."""
        shrunk = 1 / np.sqrt(1 + self._squares) - 1
        seen = normals @ self._basis
        return (normals + (seen * shrunk) @ self._basis.T) * self._lengths
