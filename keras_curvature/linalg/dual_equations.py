"""Damped least squares with fewer rows than unknowns."""

import numpy as np
import tensorflow as tf


class DualEquations:
    """Minimises ½‖A·z + r‖² + ½λ‖z‖² from AAᵀ.

        z(λ) = −Aᵀ(AAᵀ + λI)⁻¹ r    (Cholesky)

    The same step as that of the normal equations, by a matrix of the size of
    the rows instead of the columns.

    Args:
        rows: A, tensor of shape `(m, n)`.
        residuals: r, tensor of shape `(m,)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import DualEquations

    rows = tf.constant([[1.0, 0.0, 1.0]])
    step, _ = DualEquations(rows, tf.constant([2.0])).solve(0.0)
    # [-1, 0, -1], the shortest of all solutions
    ```
    """

    def __init__(self, rows, residuals):
        self.rows = rows
        self.residuals = residuals
        self.gradient = tf.linalg.matvec(rows, residuals, transpose_a=True)
        self._gram = tf.matmul(rows, rows, transpose_b=True)

    @property
    def column_norms(self):
        """Norms of the columns of A, shape `(n,)`."""
        return tf.norm(self.rows, axis=0)

    @property
    def least_damping(self):
        """The damping below which rounding may make Cholesky fail."""
        epsilon = np.finfo(self.rows.dtype.as_numpy_dtype).eps
        return 2 * epsilon * tf.linalg.trace(self._gram)

    def scaled(self, scaling):
        """The same problem in the unknowns `scaling`·z."""
        return DualEquations(self.rows / scaling, self.residuals)

    def solve(self, damping):
        """z(λ), and the function v ↦ vᵀ(AᵀA + λI)⁻¹v."""
        damped = tf.linalg.set_diag(
            self._gram, tf.linalg.diag_part(self._gram) + damping
        )
        factor = tf.linalg.cholesky(damped)

        def inverse_form(vector):
            # Woodbury: (AᵀA + λI)⁻¹ = (I − Aᵀ(AAᵀ + λI)⁻¹A) / λ.
            halfway = tf.linalg.triangular_solve(
                factor, self._push(vector)[:, tf.newaxis]
            )
            squares = tf.reduce_sum(vector**2) - tf.reduce_sum(halfway**2)
            return squares / damping

        solution = tf.linalg.cholesky_solve(
            factor, -self.residuals[:, tf.newaxis]
        )
        step = tf.linalg.matvec(self.rows, solution[:, 0], transpose_a=True)
        return step, inverse_form

    def _push(self, vector):
        return tf.linalg.matvec(self.rows, vector)
