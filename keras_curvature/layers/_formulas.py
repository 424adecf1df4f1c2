"""Pieces of closed forms that keep their digits and their derivatives."""

import tensorflow as tf

from keras_curvature._derivatives import with_derivative


def magnitude(x):
    """|x| whose derivative at 0 is 1: `tf.abs` has 0 there.

    Even functions written in |x| need ±1 at 0, as 0 would erase their second
    derivative at that point.
    """
    return tf.where(x < 0, -x, x)


def times_square(factor, root):
    """factor·root², normal also where root² alone has underflowed.

    The bound is never reached. It separates the two products, which
    TensorFlow's graph optimizer would reorder to factor·(root·root).
    """
    return tf.minimum(factor * root, root.dtype.max) * root


def times_exp_below_0(factor, x):
    """factor·exp(min(x, 0)), normal also where the power is not."""
    return times_square(factor, tf.exp(0.5 * tf.minimum(x, 0.0)))


def expm1_below_0(x):
    """exp(min(x, 0)) − 1 = 2t / (1 − t) with t = tanh(min(x, 0) / 2).

    As exact as `tf.math.expm1`, which ONNX has no operation for: t ≤ 0, so
    that nothing cancels.
    """
    t = tf.tanh(0.5 * tf.minimum(x, 0.0))
    return 2.0 * t / (1.0 - t)


def zero_everywhere(x):
    """Zeros of the shape of x, connected to x through every derivative."""
    return with_derivative(tf.zeros_like, zero_everywhere)(x)
