"""Damped least squares by the normal equations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature.linalg._gram import gram_of_columns
from keras_curvature.linalg.dot import matvec, outer
from keras_curvature.linalg.triangular_factor import (
    TriangularFactor,
    cholesky_solve,
)


class NormalEquations(NamedTuple):
    """The `LeastSquaresSystem` that holds AᵀA and Aᵀr.

        z(λ) = −(AᵀA + λI)⁻¹ Aᵀr    (Cholesky)

    The fastest one where A has more rows than columns; the condition number
    of A enters squared.

    Args:
        matrix: AᵀA, tensor of shape `(n, n)`.
        gradient: Aᵀr, tensor of shape `(n,)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import NormalEquations

    system = NormalEquations.from_rows(
        tf.constant([[1.0, 0.0], [0.0, 2.0]]), tf.constant([1.0, 2.0])
    )
    system.factor(0.0).step  # [-1, -1]
    ```
    """

    matrix: tf.Tensor
    gradient: tf.Tensor

    @classmethod
    def zeros(cls, size: int, dtype: tf.DType) -> NormalEquations:
        """The system without rows in n = `size` unknowns."""
        return cls(tf.zeros((size, size), dtype), tf.zeros((size,), dtype))

    @classmethod
    def from_rows(
        cls, matrix: tf.Tensor, residuals: tf.Tensor
    ) -> NormalEquations:
        """The system of A and r."""
        rows = tf.concat([matrix, residuals[:, tf.newaxis]], axis=1)
        return cls.zeros(matrix.shape[1], rows.dtype).with_rows(rows)

    def with_rows(self, rows: tf.Tensor) -> NormalEquations:
        """The system with more rows of [A, r], shape `(k, n + 1)`."""
        # One product of [A, r] with itself: to take A out of it copies it.
        product = gram_of_columns(rows)
        return NormalEquations(
            self.matrix + product[:-1, :-1], self.gradient + product[:-1, -1]
        )

    def with_diagonal(
        self, diagonal: tf.Tensor, residuals: tf.Tensor
    ) -> NormalEquations:
        """The system with n more rows, of [diag(`diagonal`), `residuals`]."""
        return NormalEquations(
            plus_diagonal(self.matrix, diagonal**2),
            self.gradient + diagonal * residuals,
        )

    def scaled(self, scaling: tf.Tensor) -> NormalEquations:
        """The system in the unknowns `scaling`·z."""
        return NormalEquations(
            self.matrix / outer(scaling, scaling),
            self.gradient / scaling,
        )

    def shifted(self, vector: tf.Tensor) -> NormalEquations:
        """The system in z − `vector`: its residuals are r + A·`vector`."""
        along = matvec(self.matrix, vector)
        return NormalEquations(self.matrix, self.gradient + along)

    def holding(self, is_held: tf.Tensor) -> NormalEquations:
        """The system whose z(λ) is 0 where the bool tensor holds."""
        zero, one = tf.zeros_like(self.gradient), tf.ones_like(self.gradient)
        free = tf.where(is_held, zero, one)
        return NormalEquations(
            plus_diagonal(self.matrix * free * free[:, tf.newaxis], 1 - free),
            self.gradient * free,
        )

    @property
    def column_norms(self) -> tf.Tensor:
        """Norms of the columns of A, shape `(n,)`."""
        return tf.sqrt(_diagonal_of(self.matrix))

    @property
    def least_damping(self) -> tf.Tensor:
        """Scalar, the damping below which rounding may make Cholesky fail."""
        return least_damping(self.matrix)

    def factor(self, damping: float | tf.Tensor) -> TriangularFactor:
        """The factor of AᵀA + λI, by Cholesky's method."""
        damping = tf.convert_to_tensor(damping, self.matrix.dtype)
        lower = tf.linalg.cholesky(plus_diagonal(self.matrix, damping))
        return TriangularFactor(
            damping, -cholesky_solve(lower, self.gradient), lower
        )


def least_damping(gram):
    """The λ with which gram + λI has a Cholesky factor despite rounding."""
    # The computed matrix differs from a positive semi-definite one by about
    # ε·trace in norm.
    epsilon = np.finfo(gram.dtype.as_numpy_dtype).eps
    return 2 * epsilon * tf.reduce_sum(_diagonal_of(gram))


def plus_diagonal(matrix, diagonal):
    """The matrix with a number or vector added to its diagonal."""
    return tf.raw_ops.MatrixSetDiag(
        input=matrix, diagonal=_diagonal_of(matrix) + diagonal
    )


def _diagonal_of(matrix):
    return tf.raw_ops.MatrixDiagPart(input=matrix)
