"""Damped least squares by the normal equations."""

import numpy as np
import tensorflow as tf


class NormalEquations:
    """Minimises ½‖A·z + r‖² + ½λ‖z‖² from AᵀA and Aᵀr.

        z(λ) = −(AᵀA + λI)⁻¹ Aᵀr    (Cholesky)

    The fastest form where A has more rows than columns; the condition number
    of A enters squared.

    Args:
        gram: [A, r]ᵀ[A, r], tensor of shape `(n + 1, n + 1)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import NormalEquations

    rows = tf.constant([[1.0, 0.0, 1.0], [0.0, 2.0, 2.0]])  # of [A, r]
    state = NormalEquations.add_rows(NormalEquations.empty(2, "float32"), rows)
    step, _ = NormalEquations(*state).solve(0.0)  # [-1, -1]
    ```
    """

    def __init__(self, gram):
        self._gram = gram
        self.matrix = gram[:-1, :-1]
        self.gradient = gram[:-1, -1]

    @staticmethod
    def empty(size, dtype):
        """The state that holds no rows: `(gram,)`."""
        return (tf.zeros((size + 1, size + 1), dtype),)

    @staticmethod
    def add_rows(state, rows):
        """The state with rows of [A, r], shape `(m, n + 1)`, added."""
        (gram,) = state
        return (gram + tf.matmul(rows, rows, transpose_a=True),)

    @staticmethod
    def add_diagonal(state, diagonal, residuals):
        """The state with the rows diag(`diagonal`), `(n, n)`, added."""
        (gram,) = state
        squares = tf.concat([diagonal**2, [tf.reduce_sum(residuals**2)]], 0)
        gram = tf.linalg.set_diag(gram, tf.linalg.diag_part(gram) + squares)
        # Only what stands above the diagonal of the last column is read.
        column = (diagonal * residuals)[:, tf.newaxis]
        return (gram + tf.pad(column, [[0, 1], [diagonal.shape[0], 0]]),)

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
        scaling = tf.concat([scaling, tf.ones((1,), scaling.dtype)], axis=0)
        return NormalEquations(self._gram / (scaling[:, tf.newaxis] * scaling))

    def solve(self, damping):
        """z(λ), and the function v ↦ vᵀ(AᵀA + λI)⁻¹v.

        Where the damped matrix is not positive definite to rounding, both
        are NaN.
        """
        factor = self._factor(damping)

        def inverse_form(vector):
            halfway = tf.linalg.triangular_solve(factor, vector[:, tf.newaxis])
            return tf.reduce_sum(halfway**2)

        step = tf.linalg.cholesky_solve(factor, -self.gradient[:, tf.newaxis])
        return step[:, 0], inverse_form

    def apply_inverse(self, damping, vector):
        """(AᵀA + λI)⁻¹·vector."""
        factor = self._factor(damping)
        return tf.linalg.cholesky_solve(factor, vector[:, tf.newaxis])[:, 0]

    def _factor(self, damping):
        diagonal = tf.linalg.diag_part(self.matrix) + damping
        return tf.linalg.cholesky(tf.linalg.set_diag(self.matrix, diagonal))
