"""Stitching, where a later row overwrites an earlier one.

TensorFlow gives both the gradient of the result, also where indices repeat.
"""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.repairs.errors import refusal


def dynamic_stitch(operation, cotangent, registered):
    """Of DynamicStitch(indices, data): none for what is overwritten."""
    gradients = registered(operation, cotangent)
    count = len(gradients) // 2
    indices = operation.inputs[:count]
    ends = tf.cumsum([tf.size(places) for places in indices])
    order = [
        tf.reshape(end - tf.size(places) + tf.range(tf.size(places)), shape)
        for places, shape, end in zip(
            indices, map(tf.shape, indices), tf.unstack(ends), strict=True
        )
    ]
    last = tf.dynamic_stitch(indices, order)
    kept = []
    for places, own, gradient in zip(
        indices, order, gradients[count:], strict=True
    ):
        is_kept = tf.gather(last, places) == own
        ones = tf.ones([tf.rank(gradient) - tf.rank(places)], tf.int32)
        is_kept = tf.reshape(is_kept, tf.concat([tf.shape(places), ones], 0))
        kept.append(tf.where(is_kept, gradient, tf.zeros_like(gradient)))
    return [*gradients[:count], *kept]


def refuse_overwritten(operation):
    """Raises in a graph where an index is known to repeat."""
    count = len(operation.inputs) // 2
    indices = [tf.get_static_value(i) for i in operation.inputs[:count]]
    known = [i.ravel() for i in indices if i is not None]
    places = np.concatenate(known) if known else np.array([])
    if len(np.unique(places)) < len(places):
        raise refusal(
            operation,
            "TensorFlow gives a row that is overwritten the gradient of the "
            "row that overwrites it.",
            "indices that do not repeat, or eager tapes.",
        )
