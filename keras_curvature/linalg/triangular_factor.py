"""A triangular factor of the matrix of damped least squares."""

from typing import NamedTuple

import tensorflow as tf


class TriangularFactor(NamedTuple):
    """A `DampedFactor` that holds L with L·Lᵀ = AᵀA + λI.

    Args:
        damping: λ, scalar tensor.
        step: z(λ), tensor of shape `(n,)`.
        lower: L, lower triangular tensor of shape `(n, n)`.
    """

    damping: tf.Tensor
    step: tf.Tensor
    lower: tf.Tensor

    @property
    def holds_rows(self) -> bool:
        return False

    def solve(self, vector: tf.Tensor) -> tf.Tensor:
        """(AᵀA + λI)⁻¹v."""
        return tf.linalg.cholesky_solve(self.lower, vector[:, tf.newaxis])[:, 0]

    def inverse_form(self, vector: tf.Tensor) -> tf.Tensor:
        """vᵀ(AᵀA + λI)⁻¹v = ‖L⁻¹v‖²."""
        halfway = tf.linalg.triangular_solve(self.lower, vector[:, tf.newaxis])
        return tf.reduce_sum(halfway**2)
