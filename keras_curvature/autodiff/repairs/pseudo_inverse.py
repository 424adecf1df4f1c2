"""The pseudo-inverse, where singular values are equal.

TensorFlow differentiates its singular value decomposition, whose vectors have
no derivative there: of an orthogonal matrix, or the identity, it leaves out
most of the derivative of a function that is smooth. Here the derivatives are
those of Newton's steps X ← 2X − X·A·X towards the inverse, which begin at the
inverse itself: each step doubles the order to which they are right. Where the
matrix has no full rank its pseudo-inverse jumps, and TensorFlow's stays.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.operations import created_in


def pseudo_inverse(original, a, *args, **kwargs):
    """In the place of `tf.linalg.pinv`."""
    a = tf.convert_to_tensor(a)
    p = original(a, *args, **kwargs)
    if not a.dtype.is_floating or None in a.shape[-2:]:
        return p
    value = tf.stop_gradient(p)
    smooth = _by_newton(a, value)
    # The value to the last bit.
    smooth = value + (smooth - tf.stop_gradient(smooth))
    rank = tf.linalg.trace(value @ tf.stop_gradient(a))
    is_full = rank > min(a.shape[-2:]) - 0.5
    return tf.where(is_full[..., tf.newaxis, tf.newaxis], smooth, p)


def _by_newton(a, p):
    rows, columns = a.shape[-2:]
    transposed = tf.linalg.matrix_transpose(a)
    q = tf.linalg.matrix_transpose(p)
    if rows == columns:
        return _inverse(a, p)
    if rows > columns:
        return _inverse(transposed @ a, p @ q) @ transposed
    return transposed @ _inverse(a @ transposed, q @ p)


def _inverse(matrix, x):
    """Up to the third derivative."""
    for _ in range(2):
        x = 2 * x - x @ matrix @ x
    return x


def singular_values(operation, *cotangents, registered):
    """Of Svd in a graph: NaN where a pseudo-inverse has equal values.

    There its first gradient is TensorFlow's. Nothing right is made of it.
    """
    by_matrix = registered(operation, *cotangents)
    if (
        not isinstance(operation, tf.Operation)
        or not created_in(operation, "linalg_impl.py", "pinv")
        or created_in(operation, "pseudo_inverse.py", "pseudo_inverse")
    ):
        return by_matrix
    values = operation.outputs[0]
    distances = tf.abs(values[..., :, tf.newaxis] - values[..., tf.newaxis, :])
    apart = distances + tf.eye(tf.shape(values)[-1], dtype=values.dtype)
    largest = tf.reduce_max(values, -1, keepdims=True)[..., tf.newaxis]
    is_equal = tf.reduce_any(
        apart <= 1e-6 * largest, axis=(-2, -1), keepdims=True
    )
    unknown = tf.constant(float("nan"), by_matrix.dtype)
    return tf.where(is_equal, unknown, by_matrix)
