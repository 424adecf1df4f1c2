"""The condition number of a positive definite operator."""

from __future__ import annotations

from typing import NamedTuple

from keras_curvature._checks import checked_number
from keras_curvature._typing import Matrix
from keras_curvature.linalg.eigenpairs import eigenpairs


class ConditionNumber(NamedTuple):
    """A condition number, and the eigenvalues that make it.

    Attributes:
        value: Float, largest / smallest.
        largest, smallest: Floats, eigenvalues of A + λI.
        error: Float, what the error of the smallest eigenvalue may change in
            `value`, by the norm of its residual.
        products: Int, products with single vectors.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import condition_number

    print(condition_number(np.diag([1.0, 10.0])))
    # 10 ± 1.4e-14, 10 / 1, 2 products
    ```
    """

    value: float
    largest: float
    smallest: float
    error: float
    products: int

    def __str__(self) -> str:
        return (
            f"{self.value:.6g} ± {self.error:.2g}, {self.largest:.4g} / "
            f"{self.smallest:.4g}, {self.products} products"
        )


def condition_number(
    operator: Matrix,
    *,
    damping: float = 0.0,
    tolerance: float | None = None,
    max_iterations: int = 1000,
    seed: int = 0,
) -> ConditionNumber:
    """κ(A + λI) of a positive definite A + λI, by Lanczos at both ends.

        κ = (λ_max + λ) / (λ_min + λ)

    The smallest eigenvalue of an ill-conditioned operator converges slowly;
    damping makes it known.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        damping: λ ≥ 0, in units of the eigenvalues. Defaults to `0.0`.
        tolerance: Float > 0, of the residuals, relative to ‖A‖. Defaults to
            the square root of the rounding of the dtype.
        max_iterations: Int ≥ 1, most products. Defaults to `1000`.
        seed: Int ≥ 0 of the first vector. Defaults to `0`.

    Returns:
        `ConditionNumber`. What has not converged is warned of.

    Raises:
        ValueError: if the smallest eigenvalue of A + λI is not positive, or
            cannot be told from zero.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import condition_number

    condition_number(np.diag([0.0, 9.0]), damping=1.0).value  # 10
    ```
    """
    checked_number("damping", damping, minimum=0)
    # Of a matrix with one row, both ends are the same eigenvalue.
    pairs = eigenpairs(
        operator,
        k=min(2, int(operator.shape[0])),
        which="both",
        tolerance=tolerance,
        max_iterations=max_iterations,
        seed=seed,
    )
    largest, smallest = (float(pairs.values[i] + damping) for i in (0, -1))
    residual = float(pairs.residuals[-1])
    if smallest <= residual:
        raise ValueError(
            "`operator` + `damping` must be positive definite. Received: "
            f"damping={damping}, with a smallest eigenvalue of {smallest:.3g} "
            f"± {residual:.1g}. Raise `damping`, or lower `tolerance` where "
            "only the error is too large."
        )
    value = largest / smallest
    return ConditionNumber(
        value, largest, smallest, value * residual / smallest, pairs.products
    )
