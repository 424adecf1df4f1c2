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
        return cholesky_solve(self.lower, vector)

    def inverse_form(self, vector: tf.Tensor) -> tf.Tensor:
        """vᵀ(AᵀA + λI)⁻¹v = ‖L⁻¹v‖²."""
        column = tf.expand_dims(vector, 1)
        halfway = tf.linalg.triangular_solve(self.lower, column)
        return tf.reduce_sum(tf.square(halfway))


def cholesky_solve(lower, vector):
    """(L·Lᵀ)⁻¹v, for a vector of shape `(n,)`."""
    column = tf.expand_dims(vector, 1)
    return tf.squeeze(tf.linalg.cholesky_solve(lower, column), 1)
