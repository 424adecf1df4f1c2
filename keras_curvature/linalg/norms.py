"""Norms of a symmetric operator."""

import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_integer
from keras_curvature._typing import Matrix
from keras_curvature.linalg._probes import Probes
from keras_curvature.linalg._products import Products
from keras_curvature.linalg._unit_vectors import blocks, unit_vectors
from keras_curvature.linalg.eigenpairs import eigenpairs
from keras_curvature.linalg.trace import TraceEstimate


def frobenius_norm(
    operator: Matrix, *, probes: int = 100, seed: int = 0
) -> TraceEstimate:
    """‖A‖_F = (Σᵢⱼ aᵢⱼ²)^½, from products with random vectors.

        ‖A‖_F² = E ‖A·z‖²,  z of random signs

    The square is estimated without bias. Where `probes` reaches n, the norm
    is computed exactly, by n products with unit vectors.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        probes: Int ≥ 2, products with vectors. Defaults to `100`.
        seed: Int ≥ 0 of the random vectors. Defaults to `0`.

    Returns:
        `TraceEstimate` of the norm.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import frobenius_norm

    frobenius_norm(np.diag([3.0, 4.0])).value  # 5
    ```

    References:
        Hutchinson, 1990, "A stochastic estimator of the trace of the
        influence matrix", with A² for A.
    """
    checked_integer("probes", probes, minimum=2)
    checked_integer("seed", seed, minimum=0)
    products = Products(operator)
    is_exact = probes >= products.size
    random = Probes(seed, products.size, products.dtype)
    squares = []
    for block in blocks(products, min(probes, products.size)):
        if is_exact:
            columns = unit_vectors(products, block)
        else:
            columns = random.rademacher(len(block))
        lengths = tf.norm(products(columns), axis=0)
        squares.append(lengths.numpy().astype("float64") ** 2)
    squares = np.concatenate(squares)
    if is_exact:
        return TraceEstimate(float(np.sqrt(squares.sum())), 0.0, products.count)
    norm = float(np.sqrt(squares.mean()))
    error = float(np.std(squares, ddof=1) / len(squares) ** 0.5)
    # To first order d√s = ds / (2·√s).
    error = error / (2 * norm) if norm else 0.0
    return TraceEstimate(norm, error, products.count)


def spectral_norm(
    operator: Matrix,
    *,
    tolerance: float | None = None,
    max_iterations: int = 1000,
    seed: int = 0,
) -> float:
    """‖A‖₂ = max |λ|, by Lanczos.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        tolerance: Float > 0, of the residual, relative to ‖A‖. Defaults to
            the square root of the rounding of the dtype.
        max_iterations: Int ≥ 1, most products. Defaults to `1000`.
        seed: Int ≥ 0 of the first vector. Defaults to `0`.

    Returns:
        Float. What has not converged is warned of.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import spectral_norm

    spectral_norm(np.diag([1.0, -3.0]))  # 3
    ```
    """
    pairs = eigenpairs(
        operator,
        which="magnitude",
        tolerance=tolerance,
        max_iterations=max_iterations,
        seed=seed,
    )
    return float(abs(pairs.values[0]))
