"""Ragged tensors as variants, as `tf.map_fn` makes them."""

import tensorflow as tf


def ragged_tensor_to_variant_gradient(operation, cotangent):
    """Of RaggedTensorToVariantGradient(rows, row_splits, shape).

    It joins the gradients of the rows; backwards they are split again. A
    scalar in the place of the splits says that there is one row.
    """
    _, row_splits, _ = operation.inputs
    is_ragged = row_splits.shape.rank != 0
    rows = tf.raw_ops.RaggedTensorToVariant(
        rt_nested_splits=[row_splits] if is_ragged else [],
        rt_dense_values=cotangent,
        batched_input=is_ragged,
    )
    return rows, None, None
