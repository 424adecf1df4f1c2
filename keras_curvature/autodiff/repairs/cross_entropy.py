"""Cross-entropy whose labels depend on the weights, or are counts.

SoftmaxCrossEntropyWithLogits returns the loss −Σ l·log p and its gradient by
the logits, which TensorFlow takes for p − l. It is p·Σl − l: labels that do
not add up to 1, such as counts of the classes, get another gradient than that
of their loss. By the labels, that gradient is not differentiated at all.
"""

import numpy as np
import tensorflow as tf


def softmax_cross_entropy(operation, *cotangents, registered):
    """TensorFlow's gradient, and what is missing in it."""
    by_logits, by_labels = registered(operation, *cotangents)
    by_loss, gradient_cotangent = cotangents
    unneeded = getattr(operation, "skip_input_indices", None) or ()
    if gradient_cotangent is not None and 1 not in unneeded:
        by_labels -= gradient_cotangent
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
