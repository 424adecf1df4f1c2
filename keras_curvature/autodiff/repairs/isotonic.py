"""Isotonic regression of a single sequence.

TensorFlow's gradient is that of a batch of sequences. Of one without a batch
axis it has another shape, and leaves out the mean over each segment.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.errors import refusal


def isotonic_regression(operation, *cotangents, registered):
    """Of IsotonicRegression(x), where x has no batch axis too."""
    segments = operation.outputs[1]
    if segments.shape.rank != 1:
        return registered(operation, *cotangents)
    means = tf.math.segment_mean(cotangents[0], segments)
    return tf.gather(means, segments)


def refuse_single_sequence(operation):
    """Raises in a graph, whose first gradient TensorFlow made."""
    if operation.outputs[1].shape.rank == 1:
        raise refusal(
            operation,
            "TensorFlow's gradient of a sequence without a batch axis is "
            "wrong.",
            "`tf.nn.isotonic_regression(x[tf.newaxis])`.",
        )
