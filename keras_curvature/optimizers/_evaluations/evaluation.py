"""One evaluation of a loss, and its rounding error."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature.linalg.dot import dot as dot_in_dtype
from keras_curvature.optimizers._common.rounding import ROUNDING_UNITS

# What the order of a sum may change, in units of rounding.
_REORDERED = 100
# Steps in succession whose reduction is below a unit of rounding, and whose
# gradient is no smaller. Slopes are right far from a minimum, where the loss
# is large beside all that a step can change; close to one they are noise.
_STALLED_STEPS = 5


class Evaluation(NamedTuple):
    """What one batch tells of the weights that the model has.

    Attributes:
        weights: w, shape (n,).
        loss: L(w), float64 scalar.
        gradient: ∇L(w), shape (n,).
        is_moved: Whether the model had other values than it was given, shape
            (number of variables,).
        has_gradient: Whether it depends on the variable at all, in the same
            shape; False also for a variable that was frozen since.
        curvature: The `Curvature` of this loss, or None.
    """

    weights: tf.Tensor
    loss: tf.Tensor
    gradient: tf.Tensor
    is_moved: tf.Tensor
    has_gradient: tf.Tensor
    curvature: object = None


def where(condition, yes, no, like=None):
    """`tf.where` whose Python numbers take the dtype of the tensors."""
    like = next(t for t in (like, yes, no) if tf.is_tensor(t))
    yes, no = (
        t if tf.is_tensor(t) else tf.constant(t, like.dtype) for t in (yes, no)
    )
    return tf.where(condition, yes, no)


def largest(vector):
    """Largest absolute entry, as a float64 scalar."""
    return tf.cast(tf.reduce_max(tf.abs(vector)), tf.float64)


def dot(a, b):
    """aᵀb in float64: squares of float32 leave its range early."""
    return dot_in_dtype(tf.cast(a, tf.float64), tf.cast(b, tf.float64))


def norm(vector):
    """‖v‖ as a float64 scalar."""
    return tf.sqrt(dot(vector, vector))


def is_finite(evaluation):
    """Whether loss and gradient are."""
    return tf.math.is_finite(evaluation.loss) & tf.reduce_all(
        tf.math.is_finite(evaluation.gradient)
    )


def is_same(state, evaluation, size):
    """Whether finite loss and gradient at the accepted point are as before.

    Data in another order differ by rounding; other data differ in both. `size`
    is that of the new gradient.
    """
    tolerance = tf.sqrt(epsilon(state))
    old, new = state["loss"], evaluation.loss
    change = tf.abs(new - old) - _REORDERED * epsilon(state) * tf.abs(
        state["initial_loss"]
    )
    is_same_loss = change <= tolerance * tf.maximum(tf.abs(old), tf.abs(new))
    size = tf.maximum(state["gradient_size"], size)
    turn = largest(evaluation.gradient - state["gradient"])
    return is_same_loss | (turn <= tolerance * size)


def smallest_before(state):
    """Size of the smallest gradient since the loss last showed a step."""
    smallest = state["smallest_gradient"]
    return tf.where(smallest > 0, smallest, state["gradient_size"])


def is_record(state, gradient):
    """Whether a gradient is the smallest since the loss last showed a step."""
    return largest(gradient) < smallest_before(state)


def may_stall(state):
    """Whether another step may be taken that no number shows to be one."""
    return state["stalled_steps"] < _STALLED_STEPS


def epsilon(state):
    """Unit of rounding of the weights."""
    dtype = state["point"].dtype
    return tf.constant(np.finfo(dtype.as_numpy_dtype).eps, tf.float64)


def rounding_error(state):
    """Rounding error of the loss.

    A loss of squares r² has the error 2 r δr, where δr is that of the
    outputs, whose size the initial loss tells.
    """
    loss, initial_loss = tf.abs(state["loss"]), tf.abs(state["initial_loss"])
    scale = tf.sqrt(loss) * tf.sqrt(initial_loss)
    return ROUNDING_UNITS * epsilon(state) * tf.maximum(loss, scale)


def is_small_change(state, loss, tolerance):
    """Whether a step from the accepted point hardly changed the loss.

    The change is held against the larger of both losses. Where the loss has
    changed its sign since the run began, 0 is no lower bound and the size of
    the loss says nothing: there it is held against the fall of the whole run.

    Args:
        state: The state before the step.
        loss: Float64 scalar, after the step.
        tolerance: Float in [0, 1), `loss_tolerance`.
    """
    change = tf.abs(state["loss"] - loss)
    size = tf.maximum(tf.abs(state["loss"]), tf.abs(loss))
    has_crossed_zero = state["initial_loss"] * tf.sign(loss) < 0
    fall = tf.abs(state["initial_loss"] - loss)
    size = tf.where(has_crossed_zero, tf.maximum(size, fall), size)
    return change < tolerance * size
