"""Damped least squares by orthogonal triangularisation."""

import tensorflow as tf

from keras_curvature._casting import cast


class StackedQR:
    """Minimises ½‖A·z + r‖² + ½λ‖z‖² by QR of the stacked [A; √λ·I].

    A and r are first reduced to a triangle, slice by slice; each damping
    then costs one QR of `(2n, n)`. The condition number of A is not squared,
    as it is in the normal equations: for the last digits, at a higher price.

    Args:
        triangle: R of the QR factorisation of [A, r], tensor of shape
            `(n + 1, n + 1)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import StackedQR

    rows = tf.constant([[1.0, 0.0, 1.0], [0.0, 2.0, 2.0]])  # of [A, r]
    state = StackedQR.add_rows(StackedQR.empty(2, "float32"), rows)
    step, _ = StackedQR(*state).solve(0.0)  # [-1, -1]
    ```

    References:
        Moré, 1978, "The Levenberg-Marquardt algorithm: implementation and
        theory", section 3.
    """

    least_damping = 0.0

    def __init__(self, triangle):
        self._triangle = triangle
        self._factor = triangle[:-1, :-1]
        self._projected = triangle[:-1, -1]
        self.gradient = tf.linalg.matvec(
            self._factor, self._projected, transpose_a=True
        )

    @staticmethod
    def empty(size, dtype):
        """The state that holds no rows: `(triangle,)`."""
        return (tf.zeros((size + 1, size + 1), dtype),)

    @staticmethod
    def add_rows(state, rows):
        """The state with rows of [A, r], shape `(m, n + 1)`, added."""
        (triangle,) = state
        stacked = _triangle_of(tf.concat([triangle, rows], axis=0))
        return (tf.ensure_shape(stacked, triangle.shape),)

    @staticmethod
    def add_diagonal(state, diagonal, residuals):
        """The state with the rows diag(`diagonal`), `(n, n)`, added."""
        rows = [tf.linalg.diag(diagonal), residuals[:, tf.newaxis]]
        return StackedQR.add_rows(state, tf.concat(rows, axis=1))

    @property
    def column_norms(self):
        """Norms of the columns of A, shape `(n,)`."""
        return tf.norm(self._factor, axis=0)

    def scaled(self, scaling):
        """The same problem in the unknowns `scaling`·z."""
        ones = tf.ones((1,), scaling.dtype)
        return StackedQR(self._triangle / tf.concat([scaling, ones], axis=0))

    def solve(self, damping):
        """z(λ), and the function v ↦ vᵀ(AᵀA + λI)⁻¹v.

        Where A has linearly dependent columns and λ is 0, both may be
        infinite or NaN.
        """
        stacked = self._damped(damping)
        factor = stacked[:-1, :-1]

        def inverse_form(vector):
            halfway = _back_substituted(factor, vector, adjoint=True)
            return tf.reduce_sum(halfway**2)

        return -_back_substituted(factor, stacked[:-1, -1]), inverse_form

    def apply_inverse(self, damping, vector):
        """(AᵀA + λI)⁻¹·vector, by the seminormal equations."""
        factor = self._damped(damping)[:-1, :-1]
        halfway = _back_substituted(factor, vector, adjoint=True)
        return _back_substituted(factor, halfway)

    def _damped(self, damping):
        """The triangle of [A, r; √λ·I, 0]."""
        size = self._factor.shape[0]
        root = tf.sqrt(cast(damping, self._factor.dtype))
        damped_rows = tf.concat(
            [
                root * tf.eye(size, dtype=root.dtype),
                tf.zeros((size, 1), root.dtype),
            ],
            axis=1,
        )
        return _triangle_of(
            tf.concat([self._triangle[:-1], damped_rows], axis=0)
        )


def _triangle_of(matrix):
    return tf.linalg.qr(matrix).r


def _back_substituted(factor, vector, adjoint=False):
    return tf.linalg.triangular_solve(
        factor, vector[:, tf.newaxis], lower=False, adjoint=adjoint
    )[:, 0]
