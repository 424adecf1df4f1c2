"""What the systems of equations of damped least squares have in common."""

from __future__ import annotations

import typing

import tensorflow as tf


class LeastSquaresSystem(typing.Protocol):
    """A matrix A and residuals r, to minimize ½‖A·z + r‖² + ½λ‖z‖².

    The minimizer is z(λ) = −(AᵀA + λI)⁻¹Aᵀr. A has shape `(m, n)`, r shape
    `(m,)`, z and vectors of its kind shape `(n,)`, the damping λ ≥ 0 is a
    scalar. `NormalEquations`, `StackedQR` and `DualEquations` are such
    systems; they differ in what they keep of A and r, thus in price and
    accuracy. Each is a NamedTuple of tensors and can be carried by
    `tf.while_loop`. No method changes a system, each returns another one.

    Attributes:
        gradient: Aᵀr, tensor of shape `(n,)`.
        column_norms: Norms of the columns of A, tensor of shape `(n,)`.
        least_damping: Scalar tensor. With less damping, rounding may leave
            no factor of a singular AᵀA (of AAᵀ in `DualEquations`).

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import NormalEquations, StackedQR

    rows = tf.constant([[1.0, 0.0, 1.0], [0.0, 2.0, 2.0]])  # of [A, r]
    for kind in (NormalEquations, StackedQR):
        system = kind.zeros(2, "float32").with_rows(rows)
        system.factor(0.0).step  # [-1, -1]
    ```
    """

    @classmethod
    def zeros(cls, size: int, dtype: tf.DType) -> LeastSquaresSystem:
        """The system without rows in n = `size` unknowns."""

    @classmethod
    def from_rows(
        cls, matrix: tf.Tensor, residuals: tf.Tensor
    ) -> LeastSquaresSystem:
        """The system of A and r."""

    def with_rows(self, rows: tf.Tensor) -> LeastSquaresSystem:
        """The system with more rows of [A, r], shape `(k, n + 1)`."""

    def with_diagonal(
        self, diagonal: tf.Tensor, residuals: tf.Tensor
    ) -> LeastSquaresSystem:
        """The system with n more rows, of [diag(`diagonal`), `residuals`]."""

    def scaled(self, scaling: tf.Tensor) -> LeastSquaresSystem:
        """The system in the unknowns D·z, with D = diag(`scaling`).

        Its matrix is A·D⁻¹.
        """

    def shifted(self, vector: tf.Tensor) -> LeastSquaresSystem:
        """The system in z − `vector`: its residuals are r + A·`vector`."""

    def holding(self, is_held: tf.Tensor) -> LeastSquaresSystem:
        """The system whose z(λ) is 0 where the bool tensor holds.

        The rest of z(λ) minimizes as if the columns of A there were 0.
        """

    @property
    def gradient(self) -> tf.Tensor: ...

    @property
    def column_norms(self) -> tf.Tensor: ...

    @property
    def least_damping(self) -> tf.Tensor: ...

    def factor(self, damping: float | tf.Tensor) -> DampedFactor:
        """The `DampedFactor` of AᵀA + λI, for a number or scalar tensor λ."""


class DampedFactor(typing.Protocol):
    """A factorization of AᵀA + λI: solutions cost no other one.

    As the systems, factors are NamedTuples of tensors. Where the matrix has
    no factor to rounding, all results are NaN, or infinite.

    Attributes:
        damping: λ, scalar tensor.
        step: z(λ) = −(AᵀA + λI)⁻¹Aᵀr, tensor of shape `(n,)`.
        holds_rows: Bool, whether A itself is at hand. Then there is
            `solve_rows(u)` = (AᵀA + λI)⁻¹Aᵀu for u of shape `(m,)`, and it
            holds where λ = 0 too, as the shortest solution.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import NormalEquations

    matrix = tf.constant([[1.0, 0.0], [0.0, 2.0]])
    residuals = tf.constant([1.0, 2.0])
    factor = NormalEquations.from_rows(matrix, residuals).factor(1.0)
    factor.step  # [-0.5, -0.8]
    vector = tf.constant([2.0, 5.0])
    factor.solve(vector)  # [1, 1]
    factor.inverse_form(vector)  # 7
    ```
    """

    # Properties, since the fields of a NamedTuple cannot be set.

    @property
    def damping(self) -> tf.Tensor: ...

    @property
    def step(self) -> tf.Tensor: ...

    @property
    def holds_rows(self) -> bool: ...

    def solve(self, vector: tf.Tensor) -> tf.Tensor:
        """(AᵀA + λI)⁻¹v."""

    def inverse_form(self, vector: tf.Tensor) -> tf.Tensor:
        """vᵀ(AᵀA + λI)⁻¹v."""
