"""Stitching, where a later row overwrites an earlier one.

TensorFlow gives both the gradient of the result, also where indices repeat.
"""

import tensorflow as tf


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
