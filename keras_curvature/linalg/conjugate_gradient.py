"""Solutions of positive definite systems by conjugate gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature._checks import checked_integer, checked_number
from keras_curvature._typing import Array, Matrix
from keras_curvature.linalg._products import Products


class NotPositiveDefinite(ValueError):
    """A form vᵀMv ≤ 0 was met."""


class LinearSolution(NamedTuple):
    """The solution of (A + λI)·x = b, and how well it solves it.

    Attributes:
        solution: x, tensor in the shape of b.
        residuals: ‖b − (A + λI)·x‖ / ‖b‖ of each column, computed from x,
            NumPy array of shape (columns,).
        converged: Which of them met the tolerance, NumPy array of bools.
        iterations: Int, passes over the data.
        products: Int, products with single vectors.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import conjugate_gradient

    result = conjugate_gradient(np.diag([1.0, 2.0]), np.array([1.0, 1.0]))
    print(result)  # converged, residual up to ...
    result.solution  # [1, 0.5]
    ```
    """

    solution: tf.Tensor
    residuals: np.ndarray
    converged: np.ndarray
    iterations: int
    products: int

    def __str__(self) -> str:
        done = "converged" if self.converged.all() else "not converged"
        return (
            f"{done}, residual up to {self.residuals.max():.1e} of the right "
            f"side, {self.products} products"
        )


def conjugate_gradient(
    operator: Matrix,
    b: Array,
    *,
    damping: float = 0.0,
    tolerance: float | None = None,
    max_iterations: int = 1000,
    preconditioner: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> LinearSolution:
    """Solves (A + λI)·x = b by conjugate gradients, for several b at once.

    Columns share the passes over the data, and one that has converged waits
    for the others. Where the recurrences have converged, the residual is
    computed from x; if rounding made it larger, the iteration begins again
    from there.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        b: Tensor of shape (n,) or (n, columns).
        damping: λ ≥ 0, in units of the eigenvalues. Defaults to `0.0`.
        tolerance: Float > 0, of ‖b − (A + λI)·x‖ / ‖b‖. Defaults to the
            square root of the rounding of the dtype: 1.5e-8 for float64,
            3.5e-4 for float32.
        max_iterations: Int ≥ 1, most passes. Defaults to `1000`.
        preconditioner: None or a callable that maps r of shape (n, columns)
            to M⁻¹r, with M symmetric, positive definite and near A + λI.
            Defaults to `None`.

    Returns:
        `LinearSolution`. What has not converged is warned of.

    Raises:
        ValueError: if A + λI or the preconditioner is seen not to be positive
            definite. `steihaug` serves indefinite operators.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import conjugate_gradient

    matrix = np.diag([0.0, 1.0])
    conjugate_gradient(matrix, np.array([1.0, 2.0]), damping=1.0).solution
    # [1, 1]
    ```

    References:
        Hestenes, Stiefel, 1952, "Methods of conjugate gradients for solving
        linear systems".
        van der Vorst, Ye, 2000, "Residual replacement strategies for Krylov
        subspace iterative methods for the convergence of true residuals",
        SIAM J. Sci. Comput. 22(3).
    """
    products = Products(operator)
    right = tf.convert_to_tensor(b, dtype_hint=products.dtype)
    _check_right(right, products)
    checked_number("damping", damping, minimum=0)
    if tolerance is None:
        tolerance = products.epsilon**0.5
    checked_number("tolerance", tolerance, above=0)
    checked_integer("max_iterations", max_iterations, minimum=1)
    columns = right[:, tf.newaxis] if right.shape.rank == 1 else right
    x, residuals = _solve(
        lambda v: products(v) + cast(damping, v.dtype) * v,
        columns,
        preconditioner or tf.identity,
        cast(tolerance, right.dtype) * tf.norm(columns, axis=0),
        lambda: products.passes < max_iterations,
    )
    # A column of zeros is solved by zeros.
    lengths = tf.norm(columns, axis=0)
    relative = tf.math.divide_no_nan(tf.norm(residuals, axis=0), lengths)
    relative = relative.numpy()
    converged = relative <= tolerance
    if not converged.all():
        warnings.warn(
            f"{np.sum(~converged)} of {len(converged)} systems have residuals "
            f"up to {relative.max():.1e} after {products.passes} passes. Raise "
            "`max_iterations`, `damping` or `tolerance`.",
            stacklevel=2,
        )
    return LinearSolution(
        solution=tf.reshape(x, right.shape),
        residuals=relative,
        converged=converged,
        iterations=products.passes,
        products=products.count,
    )


def _check_right(right, products):
    if right.shape.rank not in (1, 2) or right.shape[0] != products.size:
        raise ValueError(
            f"`b` must have the shape ({products.size},) or ({products.size}, "
            f"columns). Received: shape {tuple(right.shape)}."
        )
    if right.dtype != products.dtype:
        raise ValueError(
            "`b` must have the dtype of the operator, "
            f"{products.dtype.name}. Received: {right.dtype.name}."
        )
    if not tf.reduce_all(tf.math.is_finite(right)):
        raise ValueError("`b` must be finite. Received: NaN or infinity.")


def _solve(apply, b, precondition, targets, may_go_on):
    """x and b − A·x; rounds of conjugate gradients, each from a true r."""
    x, r = tf.zeros_like(b), b
    while True:
        before = tf.norm(r, axis=0)
        is_open = before > targets
        if not tf.reduce_any(is_open) or not may_go_on():
            return x, r
        x = _round(apply, x, r, precondition, targets, may_go_on)
        r = b - apply(x)
        # Where a round gains little, rounding is all that is left.
        after = tf.norm(r, axis=0)
        if not tf.reduce_any((after > targets) & (after < before / 2)):
            return x, r


def _round(apply, x, r, precondition, targets, may_go_on):
    """x after conjugate gradients until the recurrences have converged."""
    d = z = precondition(r)
    rz = _positive(tf.reduce_sum(r * z, axis=0), r, "preconditioner")
    is_open = tf.norm(r, axis=0) > targets
    while tf.reduce_any(is_open) and may_go_on():
        product = apply(d)
        curvature = tf.reduce_sum(d * product, axis=0)
        _positive(curvature, tf.where(is_open, d, 0), "operator` + `damping")
        x, r = _move(x, r, d, product, rz, curvature, is_open)
        z = precondition(r)
        new_rz = tf.reduce_sum(r * z, axis=0)
        d = z + tf.math.divide_no_nan(new_rz, rz) * d
        rz = new_rz
        is_open &= tf.norm(r, axis=0) > targets
    return x


@tf.function(reduce_retracing=True, autograph=False)
def _move(x, r, d, product, rz, curvature, is_open):
    alpha = tf.where(is_open, tf.math.divide_no_nan(rz, curvature), 0)
    return x + alpha * d, r - alpha * product


def _positive(forms, vectors, name):
    """The forms vᵀMv, if they are positive wherever v is not zero."""
    nonzero = tf.reduce_any(vectors != 0, axis=0)
    if tf.reduce_any(nonzero & ~(forms > 0)):
        worst = float(tf.reduce_min(tf.where(nonzero, forms, np.inf)))
        raise NotPositiveDefinite(
            f"`{name}` must be positive definite. Received: vᵀMv = "
            f"{worst:.3g} for a vector v. Raise `damping`, take a positive "
            "semi-definite operator such as a Gauss–Newton matrix, or minimize "
            "within a trust region by `steihaug`."
        )
    return forms
