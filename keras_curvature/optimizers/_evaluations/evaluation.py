"""One evaluation of a loss, and what its digits are worth."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Evaluation(NamedTuple):
    """Loss and gradient at the weights that the model has."""

    weights: tf.Tensor
    loss: tf.Tensor
    gradient: tf.Tensor
    curvature: object


def either(condition, yes, no, like=None):
    """`tf.where` whose Python numbers take the dtype of the tensors."""
    like = next(t for t in (like, yes, no) if tf.is_tensor(t))
    yes, no = (
        t if tf.is_tensor(t) else tf.constant(t, like.dtype) for t in (yes, no)
    )
    return tf.where(condition, yes, no)


def largest(vector):
    """Largest absolute entry, as a float64 scalar."""
    return tf.cast(tf.reduce_max(tf.abs(vector)), tf.float64)


def is_finite(evaluation):
    return tf.math.is_finite(evaluation.loss) & tf.reduce_all(
        tf.math.is_finite(evaluation.gradient)
    )


def is_same(state, evaluation):
    """Whether loss and gradient at the accepted point are those it had.

    Data in another order differ by rounding; other data differ in both.
    """
    tolerance = tf.sqrt(epsilon(state))
    old, new = state["loss"], evaluation.loss
    change = tf.abs(new - old) - 100 * epsilon(state) * tf.abs(
        state["initial_loss"]
    )
    same_loss = change <= tolerance * tf.maximum(tf.abs(old), tf.abs(new))
    size = tf.maximum(largest(state["gradient"]), largest(evaluation.gradient))
    turn = largest(evaluation.gradient - state["gradient"])
    return is_finite(evaluation) & (same_loss | (turn <= tolerance * size))


def epsilon(state):
    """Unit of rounding of the weights."""
    dtype = state["point"].dtype
    return tf.constant(np.finfo(dtype.as_numpy_dtype).eps, tf.float64)


def rounding_error(state):
    """Rounding error of the loss.

    A loss of squares r² has the error 2 r δr, where δr is that of the
    outputs, whose size the initial loss tells.
    """
    scale = tf.sqrt(tf.abs(state["loss"] * state["initial_loss"]))
    return 10 * epsilon(state) * tf.maximum(tf.abs(state["loss"]), scale)
