"""Damped least squares by the normal equations."""

import numpy as np
import tensorflow as tf


class NormalEquations:
    """Minimises ½‖A·z + r‖² + ½λ‖z‖² from AᵀA and Aᵀr.

        z(λ) = −(AᵀA + λI)⁻¹ Aᵀr    (Cholesky)

    The fastest form where A has more rows than columns; the condition number
    of A enters squared.

    Args:
        matrix: AᵀA, tensor of shape `(n, n)`.
        gradient: Aᵀr, tensor of shape `(n,)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import NormalEquations

    rows = tf.constant([[1.0, 0.0], [0.0, 2.0]])
    state = NormalEquations.empty(2, rows.dtype)
    state = NormalEquations.add_rows(state, rows, tf.constant([1.0, 2.0]))
    step, _ = NormalEquations(*state).solve(0.0)  # [-1, -1]
    ```
    """

    def __init__(self, matrix, gradient):
        self.matrix = matrix
        self.gradient = gradient

    @staticmethod
    def empty(size, dtype):
        """The state that holds no rows: `(matrix, gradient)`."""
        return tf.zeros((size, size), dtype), tf.zeros((size,), dtype)

    @staticmethod
    def add_rows(state, rows, residuals):
        """The state with the rows of A, `(m, n)`, and of r, `(m,)`, added."""
        matrix, gradient = state
        return (
            matrix + tf.matmul(rows, rows, transpose_a=True),
            gradient + tf.linalg.matvec(rows, residuals, transpose_a=True),
        )

    @staticmethod
    def add_diagonal(state, diagonal, residuals):
        """The state with the rows diag(`diagonal`), `(n, n)`, added."""
        matrix, gradient = state
        squares = tf.linalg.diag_part(matrix) + diagonal**2
        return (
            tf.linalg.set_diag(matrix, squares),
            gradient + diagonal * residuals,
        )

    @property
    def column_norms(self):
        """Norms of the columns of A, shape `(n,)`."""
        return tf.sqrt(tf.linalg.diag_part(self.matrix))

    @property
    def least_damping(self):
        """The damping below which rounding may make Cholesky fail."""
        # The computed matrix differs from a positive semi-definite one by
        # about ε·trace in norm.
        epsilon = np.finfo(self.matrix.dtype.as_numpy_dtype).eps
        return 2 * epsilon * tf.linalg.trace(self.matrix)

    def scaled(self, scaling):
        """The same problem in the unknowns `scaling`·z."""
        return NormalEquations(
            self.matrix / (scaling[:, tf.newaxis] * scaling),
            self.gradient / scaling,
        )

    def solve(self, damping):
        """z(λ), and the function v ↦ vᵀ(AᵀA + λI)⁻¹v.

        Where the damped matrix is not positive definite to rounding, both
        are NaN.
        """
        damped = tf.linalg.set_diag(
            self.matrix, tf.linalg.diag_part(self.matrix) + damping
        )
        factor = tf.linalg.cholesky(damped)

        def inverse_form(vector):
            halfway = tf.linalg.triangular_solve(factor, vector[:, tf.newaxis])
            return tf.reduce_sum(halfway**2)

        step = tf.linalg.cholesky_solve(factor, -self.gradient[:, tf.newaxis])
        return step[:, 0], inverse_form

    def squared_norm(self, vector):
        """‖A·vector‖²."""
        return tf.tensordot(
            vector, tf.linalg.matvec(self.matrix, vector), axes=1
        )
