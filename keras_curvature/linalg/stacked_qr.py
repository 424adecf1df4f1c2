"""Damped least squares by orthogonal triangularization."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from keras_curvature.linalg.dot import combination, matvec
from keras_curvature.linalg.triangular_factor import TriangularFactor


class StackedQR(NamedTuple):
    """The `LeastSquaresSystem` that holds R and Qᵀr of A = QR.

    The rows of A and r are reduced to a triangle, some at a time; each
    damping then costs one QR factorization of [R; √λ·I], of shape `(2n, n)`.
    The condition number of A is not squared, as it is in the normal
    equations: for the last digits, at a higher price.

    Args:
        triangle: [R, Qᵀr], tensor of shape `(n, n + 1)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import StackedQR

    system = StackedQR.from_rows(
        tf.constant([[1.0, 0.0], [0.0, 2.0]]), tf.constant([1.0, 2.0])
    )
    system.factor(0.0).step  # [-1, -1]
    ```

    References:
        Moré, 1978, "The Levenberg-Marquardt algorithm: implementation and
        theory", section 3.
    """

    triangle: tf.Tensor

    @classmethod
    def zeros(cls, size: int, dtype: tf.DType) -> StackedQR:
        """The system without rows in n = `size` unknowns."""
        return cls(tf.zeros((size, size + 1), dtype))

    @classmethod
    def from_rows(cls, matrix: tf.Tensor, residuals: tf.Tensor) -> StackedQR:
        """The system of A and r."""
        rows = tf.concat([matrix, residuals[:, tf.newaxis]], axis=1)
        return cls.zeros(matrix.shape[1], rows.dtype).with_rows(rows)

    def with_rows(self, rows: tf.Tensor) -> StackedQR:
        """The system with more rows of [A, r], shape `(k, n + 1)`."""
        stacked = tf.concat([self.triangle, rows], axis=0)
        # The last row of its triangle holds what no z can remove from r.
        triangle = tf.linalg.qr(stacked).r[: self.triangle.shape[0]]
        return StackedQR(tf.ensure_shape(triangle, self.triangle.shape))

    def with_diagonal(
        self, diagonal: tf.Tensor, residuals: tf.Tensor
    ) -> StackedQR:
        """The system with n more rows, of [diag(`diagonal`), `residuals`]."""
        return self.with_rows(
            tf.concat(
                [tf.linalg.diag(diagonal), residuals[:, tf.newaxis]], axis=1
            )
        )

    def scaled(self, scaling: tf.Tensor) -> StackedQR:
        """The system in the unknowns `scaling`·z."""
        ones = tf.ones((1,), scaling.dtype)
        return StackedQR(self.triangle / tf.concat([scaling, ones], axis=0))

    def shifted(self, vector: tf.Tensor) -> StackedQR:
        """The system in z − `vector`: its residuals are r + A·`vector`."""
        along = matvec(self.triangle[:, :-1], vector)
        last = self.triangle[:, -1] + along
        return StackedQR(
            tf.concat([self.triangle[:, :-1], last[:, tf.newaxis]], axis=1)
        )

    def holding(self, is_held: tf.Tensor) -> StackedQR:
        """The system whose z(λ) is 0 where the bool tensor holds."""
        held = tf.cast(is_held, self.triangle.dtype)
        free = tf.concat([1 - held, tf.ones_like(held[:1])], axis=0)
        return StackedQR(self.triangle * free).with_diagonal(
            held, tf.zeros_like(held)
        )

    @property
    def gradient(self) -> tf.Tensor:
        """Aᵀr = Rᵀ·Qᵀr, shape `(n,)`."""
        return combination(self.triangle[:, :-1], self.triangle[:, -1])

    @property
    def column_norms(self) -> tf.Tensor:
        """Norms of the columns of A, shape `(n,)`."""
        return tf.norm(self.triangle[:, :-1], axis=0)

    @property
    def least_damping(self) -> tf.Tensor:
        """Scalar 0: a triangle exists whatever the rounding."""
        return tf.zeros((), self.triangle.dtype)

    def factor(self, damping: float | tf.Tensor) -> TriangularFactor:
        """The factor of AᵀA + λI: the transposed triangle of [R; √λ·I].

        Where A has linearly dependent columns and λ is 0, results may be
        infinite or NaN. Those of `solve` and `inverse_form` are as accurate
        as those of the normal equations (seminormal equations), the step is
        more.
        """
        damping = tf.convert_to_tensor(damping, self.triangle.dtype)
        roots = tf.sqrt(damping) + tf.zeros_like(self.triangle[:, -1])
        damped = self.with_diagonal(roots, tf.zeros_like(roots)).triangle
        lower = tf.transpose(damped[:, :-1])
        step = tf.linalg.triangular_solve(lower, -damped[:, -1:], adjoint=True)
        return TriangularFactor(damping, tf.squeeze(step, 1), lower)
