"""Trial steps of least squares within a trust region."""

import typing

import numpy as np
import tensorflow as tf

from keras_curvature.linalg import trust_region_step

# Moré, 1978: a step is taken if it brings this fraction of what was predicted.
_ACCEPTANCE = 1e-4


class Trial(typing.NamedTuple):
    """A trial step d and what came of it; all entries are tensors."""

    attempts: tf.Tensor
    step: tf.Tensor
    length: tf.Tensor
    radius: tf.Tensor
    damping: tf.Tensor
    predicted: tf.Tensor
    actual: tf.Tensor
    ratio: tf.Tensor
    is_accepted: tf.Tensor
    is_last: tf.Tensor
    is_exhausted: tf.Tensor


def first_accepted(
    objective, system, scaling, radius, damping, last_length, max_attempts
):
    """Tries steps in ever smaller trust regions until one lowers the loss.

    Where a step promises less than rounding lets the loss show, it is taken
    if it is shorter than the step before, as long as Gauss–Newton steps
    contract; the training is exhausted when they no longer do.

    Args:
        objective: `Objective`.
        system: Of `keras_curvature.linalg`, in the unknowns z = D·d.
        scaling: The diagonal of D, shape `(n,)`.
        radius: Scalar tensor, bound of ‖D·d‖.
        damping: Scalar tensor, λ of the step before.
        last_length: Scalar tensor, ‖D·d‖ of the last accepted step.
        max_attempts: Int.

    Returns:
        The last `Trial`, with the radius for the next step.
    """
    dtype = scaling.dtype
    shortest = np.finfo(dtype.as_numpy_dtype).eps * tf.norm(
        scaling * objective.weights
    )

    def attempt(trial):
        z, damping = trust_region_step(system, trial.radius, trial.damping)
        step, length = z / scaling, tf.norm(z)
        predicted = -(
            tf.tensordot(system.gradient, z, 1) + system.squared_norm(z) / 2
        )
        actual = objective.loss - objective.trial(step)
        ratio = gain_ratio(actual, predicted)
        is_undecidable = (tf.abs(predicted) <= objective.rounding) & (
            tf.abs(actual) <= objective.rounding
        )
        is_accepted = tf.where(
            is_undecidable, length < last_length, ratio > _ACCEPTANCE
        )
        is_exhausted = ~is_accepted & (is_undecidable | (length <= shortest))
        is_free = damping <= system.least_damping
        radius = tf.where(
            is_undecidable,
            trial.radius,
            updated_radius(trial.radius, length, ratio, is_free),
        )
        return Trial(
            attempts=trial.attempts + 1,
            step=step,
            length=length,
            radius=radius,
            damping=damping,
            predicted=predicted,
            actual=actual,
            ratio=ratio,
            is_accepted=is_accepted,
            is_last=is_accepted | is_exhausted,
            is_exhausted=is_exhausted,
        )

    zero, no = tf.zeros((), dtype), tf.constant(False)
    (trial,) = tf.while_loop(
        lambda trial: (trial.attempts < max_attempts) & ~trial.is_last,
        lambda trial: (attempt(trial),),
        (
            Trial(
                attempts=tf.constant(0),
                step=tf.zeros_like(scaling),
                length=zero,
                radius=radius,
                damping=damping,
                predicted=zero,
                actual=zero,
                ratio=zero,
                is_accepted=no,
                is_last=no,
                is_exhausted=no,
            ),
        ),
        parallel_iterations=1,
    )
    return trial


def gain_ratio(actual, predicted):
    """Actual over predicted reduction; -1 where it cannot be told.

    Args:
        actual: Scalar tensor, L(w) − L(w + d). May be NaN or infinite.
        predicted: Scalar tensor, the reduction of the quadratic model.
    """
    is_defined = tf.math.is_finite(actual) & (predicted > 0)
    ratio = actual / tf.where(is_defined, predicted, tf.ones_like(predicted))
    return tf.where(is_defined, ratio, -tf.ones_like(ratio))


def updated_radius(radius, length, ratio, is_free):
    """The trust radius after a trial step.

    Args:
        radius: Scalar tensor.
        length: Scalar tensor, the length of the step. May be NaN.
        ratio: Scalar tensor, the gain ratio.
        is_free: Scalar bool tensor, whether the step was not bounded.
    """
    factor = tf.where(ratio >= 0, 0.25, 0.1)
    shorter = tf.where(length < radius, length, radius)
    shrunk = tf.cast(factor, radius.dtype) * shorter
    grown = tf.where((ratio > 0.75) | is_free, 2 * length, radius)
    return tf.where(ratio < 0.25, shrunk, grown)
