"""A precision with a Kronecker product for each kernel and each bias."""

import numpy as np
import tensorflow as tf

from keras_curvature.operators.kronecker import KroneckerFactored
from keras_curvature.operators.kronecker.spectrum import spectrum_of
from keras_curvature.uncertainty._rows import turned


class Kron:
    """The eigenvectors U_A ⊗ U_G and eigenvalues of each weight's A ⊗ G.

    Args:
        arrays: Dict with, for the block number k, `left_k` and `right_k`, the
            eigenvectors `(groups, inputs, inputs)` and `(groups, outputs,
            outputs)`, or of a diagonal factor ones with an axis less;
            `values_k`, `(groups, inputs, outputs)`; and `places_k`, in the
            same shape, where these weights stand among the n.
    """

    operator = KroneckerFactored

    def __init__(self, arrays):
        self.arrays = arrays

    @classmethod
    def from_curvature(cls, operator, factor, rank):
        """The factors of all weights."""
        numbers = operator.unflatten(np.arange(operator.shape[0], dtype=float))
        arrays = {}
        for factors in operator.factors:
            block = factors.block
            places = block.join([numbers[i] for i in block.indices])
            places = np.rint(places.numpy()).astype(int)
            a, g = (
                tf.cast(tensor, tf.float64)
                for tensor in (factors.inputs, factors.outputs)
            )
            for rows in _kernel_and_bias(block):
                k = len(arrays) // 4
                found = spectrum_of(block, _part(a, rows), g)
                arrays |= {
                    f"left_{k}": found.left.numpy(),
                    f"right_{k}": found.right.numpy(),
                    f"values_{k}": factor * found.eigenvalues.numpy(),
                    f"places_{k}": places[:, rows],
                }
        return cls(arrays)

    def at(self, scale, prior):
        """The distribution with the precision scale·G + diag(prior)."""
        count = len(self.arrays) // 4
        names = ("left", "right", "values", "places")
        return _KronNormal(
            [[self.arrays[f"{n}_{k}"] for n in names] for k in range(count)],
            scale,
            prior,
        )


class _KronNormal:
    """P = U·diag(scale·values + prior)·Uᵀ, block after block."""

    def __init__(self, blocks, scale, prior):
        self._size = len(prior)
        self._blocks = []
        for left, right, values, places in blocks:
            precision = prior[places]
            if np.ptp(precision) > 0:
                raise ValueError(
                    "structure='kron' needs one prior precision for all the "
                    "entries of a weight. Received: "
                    f"{sorted(set(precision.ravel()))} in one of them."
                )
            eigenvalues = scale * values + precision
            self._blocks.append((left, right, eigenvalues, places))

    @property
    def log_determinant(self):
        return float(sum(np.sum(np.log(b[2])) for b in self._blocks))

    @property
    def variances(self):
        variances = np.empty(self._size)
        for left, right, eigenvalues, places in self._blocks:
            back = turned(
                1 / eigenvalues, _transposed(left) ** 2, _transposed(right) ** 2
            )
            variances[places] = back
        return variances

    def covariance(self, rows):
        """J·P⁻¹·Jᵀ of each sample, `(batch, m, m)`, of `DenseRows` or such."""
        return sum(
            rows.at(places).turned(left, right).quadratic(1 / eigenvalues)
            for left, right, eigenvalues, places in self._blocks
        )

    def samples(self, normals):
        """P^(−½)·z for each row z of standard normal numbers."""
        drawn = np.empty_like(normals)
        for left, right, eigenvalues, places in self._blocks:
            scaled = normals[..., places] / np.sqrt(eigenvalues)
            drawn[..., places] = turned(
                scaled, _transposed(left), _transposed(right)
            )
        return drawn


def _kernel_and_bias(block):
    """The rows of a block's matrix, those of the bias apart.

    As laplace-torch has them. It leaves out what kernel and bias have in
    common, and lets each have a prior of its own.
    """
    if block.bias is None:
        return [slice(None)]
    return [slice(0, block.inputs - 1), slice(block.inputs - 1, None)]


def _part(factor, rows):
    """Some rows, and columns, of a factor or of its diagonal."""
    return factor[:, rows, rows] if factor.shape.rank == 3 else factor[:, rows]


def _transposed(factor):
    return np.swapaxes(factor, 1, 2) if factor.ndim == 3 else factor
