"""Conjugate gradients for positive definite systems."""

import tensorflow as tf


def conjugate_gradient(matvec, right_hand_side, tolerance, max_iterations):
    """Solves M·x = b for a symmetric positive definite M.

    Stops at ‖b − M·x‖ ≤ tolerance·‖b‖, after `max_iterations`, or where a
    direction has no positive curvature or the numbers are no longer finite:
    then with the last good x.

    Args:
        matvec: Callable that maps a list of tensors v to the list M·v.
        right_hand_side: b, list of tensors.
        tolerance: Scalar tensor or float, dimensionless.
        max_iterations: Int.

    Returns:
        Tuple `(x, iterations)`: a list of tensors shaped as b and the number
        of products that were taken.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import conjugate_gradient

    diagonal = tf.constant([1.0, 2.0])
    conjugate_gradient(
        lambda v: [diagonal * v[0]], [tf.constant([1.0, 1.0])], 1e-6, 10
    )  # [[1, 0.5]], 2
    ```

    References:
        Hestenes, Stiefel, 1952, "Methods of conjugate gradients for solving
        linear systems".
    """
    residual = list(right_hand_side)
    squared = _dot(residual, residual)
    target = tf.cast(tolerance, squared.dtype) ** 2 * squared

    def unfinished(iteration, is_good, x, residual, direction, squared):
        return is_good & (iteration < max_iterations) & (squared > target)

    def advance(iteration, is_good, x, residual, direction, squared):
        product = matvec(direction)
        curvature = _dot(direction, product)
        length = squared / curvature
        is_good = (curvature > 0) & tf.math.is_finite(length)
        length = tf.where(is_good, length, tf.zeros_like(length))
        x = _plus(x, length, direction)
        residual = _plus(residual, -length, product)
        squared_next = _dot(residual, residual)
        direction = _plus(residual, squared_next / squared, direction)
        return iteration + 1, is_good, x, residual, direction, squared_next

    iterations, _, x, _, _, _ = tf.while_loop(
        unfinished,
        advance,
        (
            tf.constant(0),
            tf.constant(True),
            [tf.zeros_like(b) for b in residual],
            residual,
            residual,
            squared,
        ),
    )
    return x, iterations


def _dot(left, right):
    return tf.add_n(
        [tf.reduce_sum(a * b) for a, b in zip(left, right, strict=True)]
    )


def _plus(left, factor, right):
    return [
        a + tf.cast(factor, a.dtype) * b
        for a, b in zip(left, right, strict=True)
    ]
