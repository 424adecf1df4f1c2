"""What the cross-entropies have in common."""

import keras
import numpy as np
import tensorflow as tf


def clipped(p):
    """p as Keras clips probabilities."""
    epsilon = keras.config.epsilon()
    return tf.clip_by_value(p, epsilon, 1 - epsilon)


def weighted(weights, p):
    """weights·p, at least the smallest normal number where weights are > 0.

    The gradient of a sample that is surely misclassified is divided by the
    root of this product, which must not underflow.
    """
    tiny = np.finfo(p.dtype.as_numpy_dtype).tiny
    product = weights * p
    return tf.where(weights > 0, tf.maximum(product, tiny), product)


def refuse_other_axis(term):
    """Raises where the classes are not on the last axis."""
    axis = term.arguments.get("axis", -1)
    if axis not in (-1, term.output.shape.rank - 1):
        raise ValueError(
            f"`axis` of the loss {term.name} must be -1, the last one. "
            f"Received: axis={axis}. Move the classes to the last axis of "
            "the outputs."
        )
