"""Products with the limited-memory BFGS matrix, by the two-loop recursion."""

import numpy as np
import tensorflow as tf


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
    size = steps.shape[0]
    count = tf.minimum(tf.cast(pairs, tf.int32), size)
    newest = tf.cast((pairs - 1) % size, tf.int32)
    curvatures = tf.reduce_sum(steps * changes, axis=1)

    def pair(age):
        # Not steps[i]: XLA would compile anew for every value of i.
        i = (newest - age) % size
        return i, *(tf.gather(t, i) for t in (steps, changes, curvatures))

    def backward(age, vector, coefficients):
        i, step, change, curvature = pair(age)
        coefficient = dot(step, vector) / curvature
        return (
            age + 1,
            vector - coefficient * change,
            tf.tensor_scatter_nd_update(coefficients, [[i]], [coefficient]),
        )

    def forward(age, vector):
        i, step, change, curvature = pair(age)
        coefficient = tf.gather(coefficients, i)
        coefficient -= dot(change, vector) / curvature
        return age - 1, vector + coefficient * step

    _, vector, coefficients = tf.while_loop(
        lambda age, *_: age < count,
        backward,
        (tf.constant(0), vector, tf.zeros([size], vector.dtype)),
    )
    _, _, change, curvature = pair(0)
    # Squares of gradients leave the range of float32 long before they do.
    unit = tf.reduce_max(tf.abs(change))
    unit = tf.where(unit > 0, unit, tf.ones_like(unit))
    scale = curvature / unit / dot(change / unit, change / unit) / unit
    vector *= tf.where(count > 0, scale, tf.ones_like(scale))
    return tf.while_loop(lambda age, _: age >= 0, forward, (count - 1, vector))[
        1
    ]


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
    row = [[tf.cast(pairs % steps.shape[0], tf.int32)]]

    def replaced():
        return (
            tf.tensor_scatter_nd_update(steps, row, [step]),
            tf.tensor_scatter_nd_update(changes, row, [change]),
            pairs + 1,
        )

    return tf.cond(is_usable, replaced, lambda: (steps, changes, pairs))


def dot(a, b):
    """aᵀb."""
    return tf.tensordot(a, b, 1)
