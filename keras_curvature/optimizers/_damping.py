"""A damping that follows how well a quadratic model predicts the loss."""

import tensorflow as tf


def updated_damping(damping, growth, ratio):
    """The damping λ and its growth after a step with this gain ratio.

        λ ← λ·max(1/3, 1 − (2ϱ − 1)³), growth ← 2   where ϱ > 0
        λ ← λ·growth, growth ← 2·growth             elsewhere

    Args:
        damping: Scalar tensor, λ.
        growth: Scalar tensor.
        ratio: Scalar tensor, ϱ. NaN counts as no reduction.

    Returns:
        Tuple `(damping, growth)`.

    References:
        Nielsen, 1999, "Damping parameter in Marquardt's method", equation
        2.5.
    """
    factor = tf.maximum(1 - (2 * ratio - 1) ** 3, 1 / 3)
    return (
        tf.where(ratio > 0, damping * factor, damping * growth),
        tf.where(ratio > 0, 2 * tf.ones_like(growth), 2 * growth),
    )
