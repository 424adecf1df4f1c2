"""Cross-entropy whose labels depend on the weights, or are counts.

SoftmaxCrossEntropyWithLogits returns the loss −Σ l·log p and its gradient by
the logits, which TensorFlow takes for p − l. It is p·Σl − l: labels that do
not add up to 1, such as counts of the classes, get another gradient than that
of their loss. By the labels, that gradient is not differentiated at all.
"""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import in_xla_context


def softmax_cross_entropy(operation, *cotangents, registered):
    """TensorFlow's gradient, and what is missing in it."""
    by_logits, by_labels = _by_labels_too(operation, *cotangents, registered)
    by_loss, gradient_cotangent = cotangents
    logits, gradient = operation.inputs[0], operation.outputs[1]
    # Σl − 1: a tape has the labels no more.
    excess = -tf.reduce_sum(gradient, axis=-1, keepdims=True)
    epsilon = float(np.finfo(gradient.dtype.as_numpy_dtype).eps)
    classes = tf.cast(tf.shape(gradient)[-1], gradient.dtype)
    is_rounding = tf.abs(excess) <= 2 * epsilon * classes
    if isinstance(operation, tf.Operation) and gradient_cotangent is not None:
        # In a graph the first gradient is TensorFlow's. Nothing right is made
        # of it.
        unknown = tf.where(is_rounding, 0.0, float("nan"))
        by_logits += tf.math.multiply_no_nan(
            tf.cast(unknown, gradient.dtype), gradient_cotangent
        )
    # Of labels that add up to 1 the gradient stays what it is, to the last
    # bit; its derivative by them is there all the same.
    excess -= tf.stop_gradient(
        tf.where(is_rounding, excess, tf.zeros_like(excess))
    )
    missing = by_loss[..., tf.newaxis] * excess * tf.nn.softmax(logits)
    return by_logits + missing, by_labels


def first_softmax_cross_entropy(operation, *cotangents, registered):
    """The same, where the gradient may be the only one of a training.

    XLA compiles also the addition of zeros into what follows, which is then
    rounded in another way. A training keeps its bits there, and counts for
    labels have TensorFlow's gradient.
    """
    if in_xla_context():
        return _by_labels_too(operation, *cotangents, registered)
    return softmax_cross_entropy(operation, *cotangents, registered=registered)


def _by_labels_too(operation, by_loss, gradient_cotangent, registered):
    """TensorFlow's gradient, with that of the gradient by the labels."""
    by_logits, by_labels = registered(operation, by_loss, gradient_cotangent)
    unneeded = getattr(operation, "skip_input_indices", None) or ()
    if gradient_cotangent is not None and 1 not in unneeded:
        by_labels -= gradient_cotangent
    return by_logits, by_labels
