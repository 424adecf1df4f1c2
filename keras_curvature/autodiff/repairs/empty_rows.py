"""Sparse and ragged rows that are filled where they are empty.

TensorFlow has no derivative of their gradients, which are linear.
"""

import tensorflow as tf


def fill_empty_rows_grad(operation, by_values, by_default):
    """Of SparseFillEmptyRowsGrad(places, gradient), and the ragged one.

    Each value takes its entry of the gradient, the default the sum of all
    others; backwards the entries go where they came from.
    """
    places, gradient = operation.inputs
    filled = tf.fill(tf.shape(gradient), by_default)
    scattered = tf.tensor_scatter_nd_update(
        filled, places[:, tf.newaxis], by_values
    )
    return None, scattered
