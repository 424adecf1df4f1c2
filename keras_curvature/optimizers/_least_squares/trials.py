"""Trial steps of least squares within a trust region."""

import typing

import numpy as np
import tensorflow as tf

from keras_curvature._control_flow import cond, while_loop
from keras_curvature.optimizers._common.trust_region import (
    LEAST_SQUARES,
    gain_ratio,
    updated_radius,
)


class Proposal(typing.NamedTuple):
    """A step within a trust region; all entries are tensors.

    Attributes:
        step: d, shape `(n,)`.
        length: ‖d‖ in the norm of the region.
        radius: The radius it was found for.
        predicted: The reduction of the loss by the quadratic model.
        is_free: Whether the radius did not bound the step.
        damping: λ, 0 where there is none.
        gain_tolerance: A step whose gain ratio differs from 1 by more than
            this is vetoed even if the loss falls, with −1 every step. The
            largest number where the predicted reduction is below rounding
            error; None vetoes nothing.
        longest: The length up to which the next step is likely to be trusted,
            None where that is not known.
    """

    step: tf.Tensor
    length: tf.Tensor
    radius: tf.Tensor
    predicted: tf.Tensor
    is_free: tf.Tensor
    damping: tf.Tensor
    gain_tolerance: tf.Tensor | None = None
    longest: tf.Tensor | None = None

    @classmethod
    def in_dtype(cls, dtype, *, radius, is_free, **numbers):
        """One whose numbers were computed in another float type."""
        cast = {name: tf.cast(t, dtype) for name, t in numbers.items()}
        return cls(radius=radius, is_free=is_free, **cast)


class Trial(typing.NamedTuple):
    """A proposed step and what came of it; all entries are tensors."""

    attempts: tf.Tensor
    step: tf.Tensor
    # Numbers.
    length: tf.Tensor
    radius: tf.Tensor
    damping: tf.Tensor
    predicted: tf.Tensor
    actual: tf.Tensor
    ratio: tf.Tensor
    # Bools.
    is_free: tf.Tensor
    is_accepted: tf.Tensor
    is_exhausted: tf.Tensor
    was_rejected: tf.Tensor

    def together(self):
        """All entries in four tensors: each costs a loop some operations."""
        attempts, step, *scalars = self
        return attempts, step, tf.stack(scalars[:6]), tf.stack(scalars[6:])

    @classmethod
    def apart(cls, tensors):
        """The inverse of `together`."""
        attempts, step, numbers, bools = tensors
        return cls(attempts, step, *tf.unstack(numbers), *tf.unstack(bools))


def try_steps(
    objective, propose, radius, damping, last, max_attempts, bounds=None
):
    """Tries steps in ever smaller trust regions until one lowers the loss.

    If the predicted reduction is below the rounding error of the loss, the
    radius grows instead. A step that the radius did not bound is then taken as
    long as steps contract; the run is exhausted when they no longer do, or
    when the larger steps were rejected.

    Args:
        objective: `Objective`.
        propose: Callable that maps `(attempt, radius, damping)` to a
            `Proposal`.
        radius: Scalar tensor, the first radius.
        damping: Scalar tensor, λ of the step before.
        last: Scalar tensor, the length below which a free step contracts, the
            largest number where none is known.
        max_attempts: Int or scalar tensor, 0 to try nothing.
        bounds: `Bounds` or None. Where weights lie beyond them nothing is
            tried, and the step onto them is taken.

    Returns:
        The last `Trial`, with the radius for the next step.
    """

    entry = tf.zeros_like(objective.weights)
    if bounds is not None:
        entry = bounds.project(objective.weights) - objective.weights
    is_outside = tf.reduce_any(entry != 0)

    def attempt(before):
        proposal = propose(before.attempts, before.radius, before.damping)
        return _judge(proposal, objective, before, last)

    def unfinished(trial):
        is_open = ~(trial.is_accepted | trial.is_exhausted)
        return is_open & (trial.attempts < max_attempts) & ~is_outside

    zero = tf.zeros((), objective.weights.dtype)
    no = tf.constant(False)
    start = Trial(
        attempts=tf.constant(0),
        step=tf.zeros_like(objective.weights),
        length=zero,
        radius=radius,
        damping=damping,
        predicted=zero,
        actual=zero,
        ratio=zero,
        is_free=no,
        is_accepted=no,
        is_exhausted=no,
        was_rejected=no,
    )
    trial = Trial.apart(
        while_loop(
            lambda *state: unfinished(Trial.apart(state)),
            lambda *state: attempt(Trial.apart(state)).together(),
            start.together(),
        )
    )
    if bounds is None:
        return trial
    return cond(
        is_outside, lambda: _entered(trial, objective, entry), lambda: trial
    )


def _entered(trial, objective, entry):
    """The `Trial` of a step onto the bounds, taken whatever it brings."""
    return trial._replace(
        step=entry,
        actual=objective.reduction(entry),
        is_accepted=tf.constant(True),
    )


def _judge(proposal, objective, before, last):
    """The `Trial` of a proposal, after the trial `before`."""
    epsilon = np.finfo(objective.weights.dtype.as_numpy_dtype).eps
    predicted, length = proposal.predicted, proposal.length
    actual = objective.reduction(proposal.step)
    ratio = gain_ratio(actual, predicted)
    if proposal.gain_tolerance is not None:
        # Not to be trusted is too long, whatever the loss.
        is_trusted = tf.abs(ratio - 1) <= proposal.gain_tolerance
        ratio = tf.where(is_trusted, ratio, tf.zeros_like(ratio))
    # False where one is NaN.
    is_undecidable = (tf.abs(predicted) <= objective.rounding) & (
        tf.abs(actual) <= objective.rounding
    )
    is_free = proposal.is_free
    is_tiny = tf.reduce_all(
        tf.abs(proposal.step) <= epsilon * tf.abs(objective.weights)
    )
    is_accepted = tf.where(
        is_undecidable,
        is_free & (length < last) & ~is_tiny,
        ratio > LEAST_SQUARES.accepted,
    )
    is_final = is_tiny | (is_undecidable & (is_free | before.was_rejected))
    radius = tf.where(
        is_undecidable,
        tf.maximum(4 * length, proposal.radius),
        updated_radius(proposal.radius, length, ratio, is_free),
    )
    if proposal.longest is not None:
        # The region grows, but not to where the next step would be vetoed.
        most = tf.maximum(length, proposal.longest)
        radius = tf.where(is_accepted, tf.minimum(radius, most), radius)
    return Trial(
        attempts=before.attempts + 1,
        step=proposal.step,
        length=length,
        radius=radius,
        damping=proposal.damping,
        predicted=predicted,
        actual=actual,
        ratio=ratio,
        is_free=is_free,
        is_accepted=is_accepted,
        is_exhausted=~is_accepted & is_final,
        was_rejected=~is_accepted & ~is_undecidable,
    )
