"""Damped least squares with fewer rows than unknowns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature.linalg._gram import gram_of_rows
from keras_curvature.linalg.dot import combination, matvec
from keras_curvature.linalg.normal_equations import (
    least_damping,
    plus_diagonal,
)
from keras_curvature.linalg.triangular_factor import cholesky_solve


class DualEquations(NamedTuple):
    """The `LeastSquaresSystem` that holds A, r and AAᵀ.

        z(λ) = −Aᵀ(AAᵀ + λI)⁻¹ r    (Cholesky, refined once)

    The same step as that of the normal equations, by a matrix of the size of
    the rows instead of the columns. To add rows computes AAᵀ anew: make the
    system of all of them, with `from_rows`.

    Where rows are nearly dependent, as those of a network near its end,
    (AAᵀ + λI)⁻¹r is far longer than z. What the step as computed leaves of the
    equations corrects it (iterative refinement), for two more products with A:
    its error is ε·‖A‖·‖r‖/λ instead of ε·‖A‖²·‖r‖/√λ³.

    Args:
        matrix: A, tensor of shape `(m, n)`.
        residuals: r, tensor of shape `(m,)`.
        gram: AAᵀ, tensor of shape `(m, m)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import DualEquations

    system = DualEquations.from_rows(
        tf.constant([[1.0, 0.0, 1.0]]), tf.constant([2.0])
    )
    system.factor(0.0).step  # [-1, 0, -1], the shortest of all solutions
    ```

    References:
        Higham, 2002, "Accuracy and stability of numerical algorithms",
        chapter 12.
    """

    matrix: tf.Tensor
    residuals: tf.Tensor
    gram: tf.Tensor

    @classmethod
    def zeros(cls, size: int, dtype: tf.DType) -> DualEquations:
        """The system without rows in n = `size` unknowns."""
        return cls.from_rows(tf.zeros((0, size), dtype), tf.zeros((0,), dtype))

    @classmethod
    def from_rows(
        cls, matrix: tf.Tensor, residuals: tf.Tensor
    ) -> DualEquations:
        """The system of A and r."""
        return cls(matrix, residuals, gram_of_rows(matrix))

    def with_rows(self, rows: tf.Tensor) -> DualEquations:
        """The system with more rows of [A, r], shape `(k, n + 1)`."""
        return DualEquations.from_rows(
            tf.concat([self.matrix, rows[:, :-1]], axis=0),
            tf.concat([self.residuals, rows[:, -1]], axis=0),
        )

    def with_diagonal(
        self, diagonal: tf.Tensor, residuals: tf.Tensor
    ) -> DualEquations:
        """The system with n more rows, of [diag(`diagonal`), `residuals`]."""
        return DualEquations.from_rows(
            tf.concat([self.matrix, tf.linalg.diag(diagonal)], axis=0),
            tf.concat([self.residuals, residuals], axis=0),
        )

    def scaled(self, scaling: tf.Tensor) -> DualEquations:
        """The system in the unknowns `scaling`·z."""
        return DualEquations.from_rows(self.matrix / scaling, self.residuals)

    def shifted(self, vector: tf.Tensor) -> DualEquations:
        """The system in z − `vector`: its residuals are r + A·`vector`."""
        return self._replace(
            residuals=self.residuals + matvec(self.matrix, vector)
        )

    def holding(self, is_held: tf.Tensor) -> DualEquations:
        """The system whose z(λ) is 0 where the bool tensor holds."""
        free = 1 - tf.cast(is_held, self.matrix.dtype)
        return DualEquations.from_rows(self.matrix * free, self.residuals)

    @property
    def gradient(self) -> tf.Tensor:
        """Aᵀr, shape `(n,)`."""
        return combination(self.matrix, self.residuals)

    @property
    def column_norms(self) -> tf.Tensor:
        """Norms of the columns of A, shape `(n,)`."""
        return tf.norm(self.matrix, axis=0)

    @property
    def least_damping(self) -> tf.Tensor:
        """Scalar, the damping below which rounding may spoil the step.

        With more rows than unknowns AAᵀ is singular, and z(λ) the small
        difference of numbers as large as ‖A‖·‖r‖/λ. Its error, ε·‖A‖·‖r‖/λ,
        and what the damping itself adds, are alike for λ = √ε·‖A‖².
        """
        rows, unknowns = tf.unstack(tf.shape(self.matrix))
        epsilon = np.finfo(self.gram.dtype.as_numpy_dtype).eps
        return tf.where(
            rows > unknowns,
            epsilon**0.5 * tf.linalg.trace(self.gram),
            least_damping(self.gram),
        )

    def factor(self, damping: float | tf.Tensor) -> DualFactor:
        """The factor of AAᵀ + λI, by Cholesky's method."""
        damping = tf.convert_to_tensor(damping, self.gram.dtype)
        lower = tf.linalg.cholesky(plus_diagonal(self.gram, damping))
        step = _solve_rows(self.matrix, lower, damping, -self.residuals)
        return DualFactor(damping, step, lower, self.matrix)


class DualFactor(NamedTuple):
    """A `DampedFactor` that holds A, and L with L·Lᵀ = AAᵀ + λI.

    Args:
        damping: λ, scalar tensor.
        step: z(λ), tensor of shape `(n,)`.
        lower: L, lower triangular tensor of shape `(m, m)`.
        matrix: A, tensor of shape `(m, n)`.
    """

    damping: tf.Tensor
    step: tf.Tensor
    lower: tf.Tensor
    matrix: tf.Tensor

    @property
    def holds_rows(self) -> bool:
        return True

    def solve_rows(self, vector: tf.Tensor) -> tf.Tensor:
        """(AᵀA + λI)⁻¹Aᵀu = Aᵀ(AAᵀ + λI)⁻¹u, for u of shape `(m,)`."""
        return _solve_rows(self.matrix, self.lower, self.damping, vector)

    # By Woodbury's identity, (AᵀA + λI)⁻¹ = (I − Aᵀ(AAᵀ + λI)⁻¹A) / λ.

    def solve(self, vector: tf.Tensor) -> tf.Tensor:
        """(AᵀA + λI)⁻¹v, for λ > 0."""
        return (vector - self.solve_rows(self._times(vector))) / self.damping

    def inverse_form(self, vector: tf.Tensor) -> tf.Tensor:
        """vᵀ(AᵀA + λI)⁻¹v, for λ > 0."""
        column = tf.expand_dims(self._times(vector), 1)
        halfway = tf.linalg.triangular_solve(self.lower, column)
        squares = tf.reduce_sum(vector**2) - tf.reduce_sum(halfway**2)
        return squares / self.damping

    def _times(self, vector):
        return matvec(self.matrix, vector)


def _solve_rows(matrix, lower, damping, vector):
    """Aᵀ(AAᵀ + λI)⁻¹u, refined once."""
    solution = cholesky_solve(lower, vector)
    step = combination(matrix, solution)
    # By A and the step, and not by AAᵀ: its rounding is most of the error.
    left = vector - matvec(matrix, step) - damping * solution
    return step + combination(matrix, cholesky_solve(lower, left))
