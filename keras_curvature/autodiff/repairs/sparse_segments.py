"""Reductions of gathered rows, as sparse embeddings make them.

TensorFlow has no derivative of their gradients, which are linear: the
transpose of each is the reduction itself.
"""

import tensorflow as tf


def sparse_segment_grad(reduction):
    """The gradient function of a reduction's gradient.

    Args:
        reduction: String, the type of the reduction with a number of segments.
    """

    def gradient_of_gradient(operation, cotangent):
        """Of SparseSegment...Grad(gradient, indices, segment_ids, rows)."""
        gradient, indices, segment_ids, _ = operation.inputs
        by_gradient = getattr(tf.raw_ops, reduction)(
            data=cotangent,
            indices=indices,
            segment_ids=segment_ids,
            num_segments=tf.shape(gradient)[0],
        )
        return by_gradient, None, None, None

    return gradient_of_gradient
