"""Eigenvectors and eigenvalues of Kronecker products."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature.operators.kronecker.layout import Block


class Spectrum(NamedTuple):
    """A ⊗ G = (U_A ⊗ U_G)·diag(eigenvalues)·(U_A ⊗ U_G)ᵀ for each group.

    Attributes:
        block: `Block` of the factors.
        left: U_A, of shape `(groups, inputs, inputs)`, or ones of shape
            `(groups, inputs)` for a diagonal factor.
        right: U_G, the same for the outputs.
        eigenvalues: Tensor of shape `(groups, inputs, outputs)`.
    """

    block: Block
    left: tf.Tensor
    right: tf.Tensor
    eigenvalues: tf.Tensor

    @property
    def rounding(self):
        """Float, how far an eigenvalue may be from the true one by rounding.

        n·ε·‖A ⊗ G‖ with n the larger factor's size, as LAPACK's eigenvalues
        of a symmetric matrix are right to that. 0 for diagonal factors.
        """
        sizes = [
            t.shape[1] for t in (self.left, self.right) if t.shape.rank > 2
        ]
        if not sizes:
            return 0.0
        epsilon = np.finfo(self.eigenvalues.dtype.as_numpy_dtype).eps
        return max(sizes) * float(epsilon * tf.reduce_max(self.eigenvalues))


def spectrum_of(block, a, g):
    """The `Spectrum` of a block; eigenvalues are not below 0."""
    values_a, left = _eigh(a)
    values_g, right = _eigh(g)
    return Spectrum(
        block, left, right, values_a[:, :, None] * values_g[:, None, :]
    )


def _eigh(factor):
    if factor.shape.rank == 2:
        return factor, tf.ones_like(factor)
    values, vectors = tf.linalg.eigh(factor)
    # A Gram matrix has none, but for rounding.
    return tf.maximum(values, 0), vectors
