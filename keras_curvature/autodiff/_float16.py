"""Cotangents that float16 can hold."""

import tensorflow as tf

from keras_curvature._casting import cast

# Under a loss scale S the gradients are recorded as S·g with S·g close to the
# largest float16, 2¹⁶. A cotangent of size c enters products with activations
# and weights, of size c, and with the gradients, of size S·H·c: 2⁻⁷ leaves
# seven binary orders to the smallest normal float16 and as many for rows of H
# whose sum exceeds the gradient. A plain v / S, the cotangent of S·g, would
# vanish: 2⁻¹⁵·v has few digits or none.
_LARGEST_COTANGENT = -7


def scale_for_float16(cotangents, loss_scale=1.0):
    """The power of two that brings cotangents into the range of float16.

    Args:
        cotangents: List of floating tensors.
        loss_scale: What they will be divided by on their way.
    """
    largest = tf.reduce_max(
        [tf.cast(tf.reduce_max(tf.abs(c)), tf.float32) for c in cotangents]
    ) / cast(loss_scale, tf.float32)
    exponent = _LARGEST_COTANGENT - tf.floor(tf.math.log(largest) / _LOG_2)
    usable = tf.math.is_finite(exponent) & (tf.abs(exponent) < 120)
    return tf.where(usable, tf.pow(2.0, exponent), 1.0)


_LOG_2 = 0.6931471805599453


def times(tensors, factor):
    """The products, through float32 where a tensor is narrower."""
    return [t if t is None else _times(t, factor) for t in tensors]


def _times(tensor, factor):
    tensor = tf.convert_to_tensor(tensor)
    wide = tensor.dtype if tensor.dtype.size > 2 else tf.float32
    product = tf.cast(tensor, wide) * cast(factor, wide)
    return tf.cast(product, tensor.dtype)
