"""Eigenvalues and eigenvectors at an end of the spectrum."""

from __future__ import annotations

import warnings
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_integer,
    checked_number,
)
from keras_curvature._typing import Matrix
from keras_curvature.linalg._lanczos_search import (
    KEYS,
    Wanted,
    lanczos_search,
)
from keras_curvature.linalg._probes import Probes
from keras_curvature.linalg._products import Products


class Eigenpairs(NamedTuple):
    """k eigenvalues with their vectors, and how well they are known.

    Attributes:
        values: λ, NumPy array of shape (k,), float64.
        vectors: Orthonormal columns, tensor of shape (n, k) in the dtype of
            the operator.
        residuals: ‖A·v − λ·v‖ of each, NumPy array of shape (k,). Some
            eigenvalue of A lies within this distance of λ.
        converged: Which residuals met the tolerance, NumPy array of bools.
            All are False where a pair may be missing.
        iterations: Int, passes over the data.
        products: Int, products with single vectors.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import eigenpairs

    pairs = eigenpairs(np.diag([1.0, 2.0, 5.0]), k=2)
    print(pairs)
    assert pairs.converged.all()
    ```
    """

    values: np.ndarray
    vectors: tf.Tensor
    residuals: np.ndarray
    converged: np.ndarray
    iterations: int
    products: int

    def __str__(self) -> str:
        lines = [f"{'eigenvalue':>14} {'residual':>10}"]
        for value, residual, converged in zip(
            self.values, self.residuals, self.converged, strict=True
        ):
            remark = "" if converged else "  not converged"
            lines.append(f"{value:>14.6e} {residual:>10.1e}{remark}")
        return "\n".join([*lines, f"{self.products} products"])


def eigenpairs(
    operator: Matrix,
    *,
    k: int = 1,
    which: Literal["largest", "smallest", "magnitude", "both"] = "largest",
    tolerance: float | None = None,
    max_iterations: int = 1000,
    block_size: int | None = None,
    basis_size: int | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """k eigenpairs of a symmetric operator, by its products with vectors.

        A·v = λ·v,  ‖v‖ = 1

    Block Lanczos with full reorthogonalization and thick restarts. A pair has
    converged where ‖A·v − λ·v‖ ≤ tolerance·‖A‖; an isolated eigenvalue then
    errs by about the square of that.

    A Krylov space holds an eigenvalue at most `block_size` times. So if k pairs
    have converged and one of them occurs as often, new random vectors look for
    more copies, for about as many products as the first took to show the k. If
    there are any, the search begins again with blocks of twice the size.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        k: Int ≥ 1, at most n. Defaults to `1`.
        which: `"largest"`, `"smallest"`, `"magnitude"` (largest |λ|) or
            `"both"` (the larger half of the k at the upper end, the others
            at the lower). In this order they are returned, the outermost
            first. Defaults to `"largest"`.
        tolerance: Float > 0, relative to ‖A‖. Defaults to the square root of
            the rounding of the dtype: 1.5e-8 for float64, 3.5e-4 for float32.
        max_iterations: Int ≥ 1, most passes, of `block_size` products each.
            Defaults to `1000`.
        block_size: Int ≥ 1, vectors that are multiplied together. Defaults
            to 2, which takes the fewest products where no eigenvalue occurs
            twice, and to 1 where one is sought, or one at each end.
        basis_size: Int > k, vectors of length n that are kept. More of them
            save products. Defaults to max(2·k + 20, 40).
        seed: Int ≥ 0 of the first vectors. Defaults to `0`.

    Returns:
        `Eigenpairs`. Pairs that have not converged are marked, and warned of.

    Raises:
        ValueError: if the operator has fewer than k eigenvalues, is not
            symmetric, or a product is not finite.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import eigenpairs

    matrix = np.diag(np.arange(100.0))
    eigenpairs(matrix, k=3).values  # 99, 98, 97
    ```

    References:
        Wu, Simon, 2000, "Thick-restart Lanczos method for large symmetric
        eigenvalue problems", SIAM J. Matrix Anal. Appl. 22(2).
        Golub, Underwood, 1977, "The block Lanczos method for computing
        eigenvalues".
    """
    products = Products(operator)
    checked_choice("which", which, tuple(KEYS))
    if block_size is None:
        block_size = 2 if k > len(KEYS[which]) else 1
    k, block, capacity = _sizes(products.size, k, block_size, basis_size)
    if tolerance is None:
        tolerance = products.epsilon**0.5
    checked_number("tolerance", tolerance, above=0)
    checked_integer("max_iterations", max_iterations, minimum=1)
    checked_integer("seed", seed, minimum=0)
    probes = Probes(seed, products.size, products.dtype)
    wanted = Wanted(k, which, tolerance)
    found = lanczos_search(
        products, probes, wanted, max_iterations, block, capacity
    )
    # Rounding is part of a residual, though not of the recurrence.
    residuals = found.residuals + products.epsilon * found.scale
    _warn_of_failure(found, residuals, max_iterations)
    return Eigenpairs(
        values=found.values,
        vectors=tf.constant(found.vectors),
        residuals=residuals,
        converged=found.converged & found.is_complete,
        iterations=products.passes,
        products=products.count,
    )


def _warn_of_failure(found, residuals, max_iterations):
    missed = np.sum(~found.converged)
    if missed:
        problem = (
            f"{missed} of {len(residuals)} eigenpairs have not converged "
            f"within {max_iterations} iterations: their residuals are up to "
            f"{residuals.max():.1e}. Raise `max_iterations`, `basis_size` or "
            "`tolerance`."
        )
    elif not found.is_complete:
        problem = (
            f"{max_iterations} iterations did not suffice to tell whether an "
            "eigenvalue occurs more often than it was found. Raise "
            "`max_iterations`, or `block_size` to the number of copies."
        )
    else:
        return
    warnings.warn(problem, stacklevel=3)


def _sizes(size, k, block_size, basis_size):
    k = checked_integer("k", k, minimum=1)
    if k > size:
        raise ValueError(
            f"`k` must be at most the size of the operator, {size}. Received: "
            f"k={k}."
        )
    block = min(checked_integer("block_size", block_size, minimum=1), size)
    if basis_size is None:
        basis_size = max(2 * k + 20, 40)
    least = k + 2 * block
    capacity = checked_integer("basis_size", basis_size, minimum=1)
    return k, block, min(size, max(capacity, least))
