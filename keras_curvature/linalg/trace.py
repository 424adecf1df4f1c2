"""The trace of a symmetric operator."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_choice, checked_integer
from keras_curvature._typing import Matrix
from keras_curvature.linalg._leave_one_out import LeaveOneOut
from keras_curvature.linalg._probes import Probes
from keras_curvature.linalg._products import Products
from keras_curvature.linalg._thin_qr import thin_qr
from keras_curvature.linalg._unit_vectors import blocks, exact_diagonal


class TraceEstimate(NamedTuple):
    """An estimate of a trace, or of another sum over the spectrum.

    Attributes:
        value: Float.
        standard_error: Float, of the value. Zero where it is exact.
        products: Int, products with single vectors.

    Example:

    ```python
    from keras_curvature.linalg import TraceEstimate

    print(TraceEstimate(value=6.01, standard_error=0.02, products=100))
    # 6.01 ± 0.02, 100 products
    ```
    """

    value: float
    standard_error: float
    products: int

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return (
            f"{self.value:.6g} ± {self.standard_error:.2g}, "
            f"{self.products} products"
        )


def trace(
    operator: Matrix,
    *,
    method: Literal["hutchinson", "hutch++", "xtrace"] = "hutchinson",
    probes: int = 100,
    seed: int = 0,
) -> TraceEstimate:
    """tr(A) from products with random vectors.

    - `"hutchinson"`: the mean of zᵀAz over z of random signs. Needs memory
      for a block of vectors only. Its standard error is that of a mean of
      independent numbers of variance 2·Σᵢ≠ⱼ aᵢⱼ².
    - `"hutch++"`: a third of the products finds the range of the largest
      eigenvalues, a third takes the trace there, and Hutchinson's estimator
      the rest. Better where few eigenvalues dominate, as those of trained
      networks do. Keeps probes/3 vectors.
    - `"xtrace"`: half of the products finds the range, half takes the trace
      there, and each vector of the first half tests what the others missed.
      The best of the three where eigenvalues decay. Keeps 2·probes vectors.
      Its terms are not quite independent: take the standard error as an
      indication.

    All are unbiased. The last two are exact for operators of a rank below a
    third, or half, of the products. Where `probes` reaches n, the trace is
    computed exactly, by n products with unit vectors.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        method: `"hutchinson"`, `"hutch++"` or `"xtrace"`. Defaults to
            `"hutchinson"`.
        probes: Int, products with vectors in all: at least 2, 6 for Hutch++,
            4 for XTrace. Defaults to `100`.
        seed: Int ≥ 0 of the random vectors. Defaults to `0`.

    Returns:
        `TraceEstimate`.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import trace

    matrix = np.full((50, 50), 2.0)
    trace(matrix, method="xtrace", probes=10).value  # 100, as its rank is 1
    ```

    References:
        Hutchinson, 1990, "A stochastic estimator of the trace of the
        influence matrix".
        Meyer, Musco, Musco, Woodruff, 2021, "Hutch++: optimal stochastic trace
        estimation".
        Epperly, Tropp, Webber, 2024, "XTrace: making the most of every sample
        in stochastic trace estimation", SIAM J. Matrix Anal. Appl. 45(1).
    """
    checked_choice("method", method, tuple(_METHODS))
    estimate, least = _METHODS[method]
    checked_integer("probes", probes, minimum=least)
    checked_integer("seed", seed, minimum=0)
    products = Products(operator)
    if probes >= products.size:
        values = exact_diagonal(products).numpy().astype("float64")
        return TraceEstimate(float(values.sum()), 0.0, products.count)
    random = Probes(seed, products.size, products.dtype)
    offset, terms = estimate(products, random, probes)
    return TraceEstimate(
        value=float(offset + np.mean(terms)),
        standard_error=float(np.std(terms, ddof=1) / len(terms) ** 0.5),
        products=products.count,
    )


def _hutchinson(products, random, probes):
    """An offset, here zero, and terms whose mean estimates the rest."""
    terms = []
    for block in blocks(products, probes):
        signs = random.rademacher(len(block))
        terms.append(_column_products(signs, products(signs)))
    return 0.0, np.concatenate(terms)


def _hutch_plus_plus(products, random, probes):
    sketched = probes // 3
    q, _ = thin_qr(products(random.rademacher(sketched)))
    offset = _column_products(q, products(q)).sum()
    terms = []
    for block in blocks(products, probes - 2 * sketched):
        signs = random.rademacher(len(block))
        rest = signs - q @ tf.matmul(q, signs, transpose_a=True)
        terms.append(_column_products(rest, products(rest)))
    return offset, np.concatenate(terms)


def _xtrace(products, random, probes):
    """With sᵢ, rᵢ as in `LeaveOneOut`, H = QᵀAQ, w = Qᵀω, x = (I − ssᵀ)·w:

        tᵢ = tr H − sᵀHs + c·(ωᵀAω − 2·xᵀr + xᵀHx)

    The bracket is (ω − Qx)ᵀA(ω − Qx). Its vector has a uniform direction
    beside the range, so c gives it the length that has the least variance.
    """
    size, count = products.size, probes // 2
    omega = random.spherical(count)
    columns = products(omega)
    quadratic = _column_products(omega, columns)
    q, images, r, s = LeaveOneOut.from_columns(products, columns)
    inner = _wide(tf.matmul(q, images, transpose_a=True))
    w = _wide(tf.matmul(q, omega, transpose_a=True))
    along = np.sum(s * w, axis=0)
    x = w - s * along
    rank = len(r) - s.any()
    rest = quadratic - 2 * np.sum(x * r, 0) + np.sum(x * (inner @ x), 0)
    length = size - np.sum(w**2, axis=0) + along**2
    rest = rest * (size - rank) / length
    return np.trace(inner), rest - np.sum(s * (inner @ s), axis=0)


def _column_products(left, right):
    """Σ over the rows of each column, in NumPy."""
    return _wide(tf.reduce_sum(left * right, axis=0))


def _wide(tensor):
    return tensor.numpy().astype("float64")


# With the fewest products that leave two terms.
_METHODS = {
    "hutchinson": (_hutchinson, 2),
    "hutch++": (_hutch_plus_plus, 6),
    "xtrace": (_xtrace, 4),
}
