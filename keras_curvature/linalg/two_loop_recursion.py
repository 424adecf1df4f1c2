"""Products with the limited-memory BFGS matrix, by the two-loop recursion.

The loops over the pairs are written as substitutions with the triangle of
their products, which a few matrix operations take.
"""

import numpy as np
import tensorflow as tf

from keras_curvature.linalg.dot import (
    combination,
    dot,
    first,
    matvec,
    outer_products,
)


def inverse_hessian_product(vector, steps, changes, pairs):
    """H·v for the inverse Hessian approximation of the last pairs.

    With the pairs s = x₊ − x, y = g₊ − g, ρ = 1 / sᵀy, newest last,

        H₊ = (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ,   H₀ = (sᵀy / yᵀy) I

    Args:
        vector: Tensor of shape (n,).
        steps: Tensor of shape (m, n), a ring of the s: the k-th pair that
            was ever stored lies in row k mod m.
        changes: Tensor of shape (m, n), the y in the same rows.
        pairs: Int64 scalar, how many pairs were ever stored. With 0 the
            product is the vector itself.

    Returns:
        Tensor of shape (n,).

    References:
        Nocedal, 1980, "Updating quasi-Newton matrices with limited storage",
        Mathematics of Computation 35.
    """
    rows, is_kept = _newest_first(pairs, steps.shape[0])
    newest = tf.gather(changes, first(rows))
    zero = tf.zeros([], vector.dtype)

    # A permutation that is its own inverse.
    def by_age(values):
        return tf.where(is_kept, tf.gather(values, rows), zero)

    def in_rows(values):
        return tf.gather(values, rows)

    # With L the products sᵢᵀyⱼ where the pair i is no newer than j, the first
    # loop is the substitution L a = S v, the second Lᵀ d = D a − Y r.
    products = outer_products(steps, changes)
    products = tf.gather(in_rows(products), rows, axis=1)
    triangle = _kept_triangle(products, is_kept)
    curvatures = tf.linalg.diag_part(triangle)
    a = _solved(triangle, by_age(matvec(steps, vector)))
    vector -= combination(changes, in_rows(a))
    scale = _scale(newest, first(curvatures))
    vector *= tf.where(pairs > 0, scale, tf.ones_like(scale))
    d = curvatures * a - by_age(matvec(changes, vector))
    d = _solved(triangle, d, adjoint=True)
    return vector + combination(steps, in_rows(d))


def _newest_first(pairs, size):
    """The rows by the age of their pairs, and whether these were stored."""
    ages = tf.constant(np.arange(size), tf.int64)
    return (pairs - 1 - ages) % size, ages < pairs


def _kept_triangle(products, is_kept):
    """The lower triangle; of pairs that were not stored, the identity."""
    size = products.shape[0]
    is_older = np.tri(size, dtype=bool)
    return tf.where(
        is_older & is_kept & tf.expand_dims(is_kept, 1),
        products,
        tf.constant(np.eye(size), products.dtype),
    )


def _solved(triangle, values, adjoint=False):
    solution = tf.linalg.triangular_solve(
        triangle, tf.expand_dims(values, 1), adjoint=adjoint
    )
    return tf.squeeze(solution, 1)


def _scale(change, curvature):
    """sᵀy / yᵀy."""
    # Squares of gradients leave the range of float32 long before they do.
    unit = tf.reduce_max(tf.abs(change))
    unit = tf.where(unit > 0, unit, tf.ones_like(unit))
    change = change / unit
    squares = dot(change, change)
    return tf.math.divide_no_nan(curvature / unit, squares) / unit


def store_pair(step, change, old_gradient, steps, changes, pairs):
    """The ring with one more pair, unless sᵀy ≤ ε |sᵀg|.

    Such an update would not be positive definite, or ρ would be rounding.

    Args:
        step: s = x₊ − x, tensor of shape (n,).
        change: y = g₊ − g, tensor of shape (n,).
        old_gradient: g at x, tensor of shape (n,).
        steps: As for `inverse_hessian_product`.
        changes: As for `inverse_hessian_product`.
        pairs: As for `inverse_hessian_product`.

    Returns:
        steps, changes and pairs as `inverse_hessian_product` takes them.
    """
    tiny = np.finfo(step.dtype.as_numpy_dtype).eps
    slope = tf.abs(dot(step, old_gradient))
    is_usable = dot(step, change) > tiny * slope
    row = tf.cast(pairs % steps.shape[0], tf.int32)

    def replaced(ring, vector):
        vector = tf.where(is_usable, vector, tf.gather(ring, row))
        return tf.tensor_scatter_nd_update(ring, [[row]], [vector])

    return (
        replaced(steps, step),
        replaced(changes, change),
        pairs + tf.cast(is_usable, tf.int64),
    )
