"""The diagonal of a symmetric operator."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_choice, checked_integer
from keras_curvature._typing import Matrix
from keras_curvature.linalg._leave_one_out import LeaveOneOut
from keras_curvature.linalg._probes import Probes
from keras_curvature.linalg._products import Products
from keras_curvature.linalg._unit_vectors import blocks, exact_diagonal


class DiagonalEstimate(NamedTuple):
    """An estimate of a diagonal.

    Attributes:
        values: Tensor of shape (n,).
        standard_errors: Of each value, shape (n,). Zero where it is exact.
        products: Int, products with single vectors.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import diagonal

    print(diagonal(np.diag([1.0, 2.0]), probes=10))
    # 2 entries from 1 to 2, standard errors up to 0, 2 products
    ```
    """

    values: tf.Tensor
    standard_errors: tf.Tensor
    products: int

    def __str__(self) -> str:
        low, high = (
            float(f(self.values)) for f in (tf.reduce_min, tf.reduce_max)
        )
        error = float(tf.reduce_max(self.standard_errors))
        return (
            f"{len(self.values)} entries from {low:.4g} to {high:.4g}, "
            f"standard errors up to {error:.2g}, {self.products} products"
        )


def diagonal(
    operator: Matrix,
    *,
    method: Literal["hutchinson", "xdiag"] = "hutchinson",
    probes: int = 100,
    seed: int = 0,
) -> DiagonalEstimate:
    """diag(A) from products with random vectors.

    - `"hutchinson"`: the mean of z ∘ Az over z of random signs. The variance
      of an entry is the sum of the squares of the others in its row, divided
      by `probes`.
    - `"xdiag"`: half of the products finds the range of the largest
      eigenvalues, half takes the diagonal there, and each vector of the first
      half tests what the others missed. Better where few eigenvalues
      dominate, exact for ranks below probes/2. Keeps 3·probes vectors. Its
      terms are not quite independent: take the standard errors as an
      indication.

    Both are unbiased. Where `probes` reaches n, the diagonal is computed
    exactly, by n products with unit vectors.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        method: `"hutchinson"` or `"xdiag"`. Defaults to `"hutchinson"`.
        probes: Int, products with vectors in all: at least 2, 4 for XDiag.
            Defaults to `100`.
        seed: Int ≥ 0 of the random vectors. Defaults to `0`.

    Returns:
        `DiagonalEstimate`.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import diagonal

    matrix = np.full((50, 50), 2.0)
    diagonal(matrix, method="xdiag", probes=10).values  # all 2, rank is 1
    ```

    References:
        Bekas, Kokiopoulou, Saad, 2007, "An estimator for the diagonal of a
        matrix", Appl. Numer. Math. 57.
        Epperly, Tropp, Webber, 2024, "XTrace: making the most of every sample
        in stochastic trace estimation", SIAM J. Matrix Anal. Appl. 45(1),
        section 2.4.
    """
    checked_choice("method", method, tuple(_METHODS))
    estimate, least = _METHODS[method]
    checked_integer("probes", probes, minimum=least)
    checked_integer("seed", seed, minimum=0)
    products = Products(operator)
    if probes >= products.size:
        values = exact_diagonal(products)
        errors = tf.zeros_like(values)
    else:
        random = Probes(seed, products.size, products.dtype)
        values, errors = estimate(products, random, probes)
    return DiagonalEstimate(values, errors, products.count)


def _hutchinson(products, random, probes):
    """The mean of the terms and its standard error, a block at a time."""
    mean = squares = tf.zeros([products.size], products.dtype)
    count = 0
    for block in blocks(products, probes):
        signs = random.rademacher(len(block))
        terms = signs * products(signs)
        # The squares of deviations from one mean; sums of squares would
        # lose them to rounding.
        change = tf.reduce_mean(terms, axis=1) - mean
        new = len(block)
        squares += new * tf.math.reduce_variance(terms, axis=1)
        squares += change**2 * (count * new / (count + new))
        count += new
        mean += change * (new / count)
    return mean, tf.sqrt(squares / (count * (count - 1)))


def _xdiag(products, random, probes):
    """With sᵢ, rᵢ as in `LeaveOneOut`:

        dᵢ = diag(QQᵀA) − Qs ∘ AQs + ω ∘ Qs·(sᵀr)

    The last term is ω ∘ (what the range without i leaves of Aω).
    """
    omega = random.rademacher(probes // 2)
    q, images, r, s = LeaveOneOut.from_columns(products, products(omega))
    missed = q @ tf.constant(s, q.dtype)
    scales = tf.constant(np.sum(s * r, axis=0), q.dtype)
    terms = missed * (omega * scales - images @ tf.constant(s, q.dtype))
    mean = tf.reduce_mean(terms, axis=1)
    errors = tf.math.reduce_std(terms, axis=1) / (probes // 2 - 1) ** 0.5
    return tf.reduce_sum(q * images, axis=1) + mean, errors


# With the fewest products that leave two terms.
_METHODS = {"hutchinson": (_hutchinson, 2), "xdiag": (_xdiag, 4)}
