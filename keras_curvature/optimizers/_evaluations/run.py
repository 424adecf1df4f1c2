"""What an evaluation makes of the state of a run, as functions of both.

Nothing is assigned here and nothing is known of Keras: a run goes from state
to state, so that it works on replicas, compiled and eagerly. What a state
holds says `state.py`; what drives it is a `Method`.

All that may follow an evaluation is computed and one of it selected, except
where vectors are learned from or a step is chosen: a `tf.cond` for each would
take longer to trace, and to pass a state through, than its few numbers take.
"""

import tensorflow as tf

from keras_curvature.optimizers._evaluations.evaluation import (
    is_small_change,
    largest,
    smallest_before,
    where,
)
from keras_curvature.optimizers._evaluations.outcomes import (
    TRIALS_BEFORE_CONFIRMATION,
    compared,
    counted_rewrites,
    counts,
    facts,
    renewed,
    started,
    tried,
)
from keras_curvature.optimizers._evaluations.state import (
    CHOOSE,
    CONFIRM,
    RENEW,
    TRIAL,
    changed_where,
    next_weights,
    select,
)
from keras_curvature.optimizers.stop_reason import StopReason

__all__ = ["accept", "accumulate", "advance"]


def accumulate(method, state, evaluation, parts):
    """The state after one of `parts` batches that make an evaluation."""
    sums = {
        "batches": state["batches"] + 1,
        "accumulated_loss": state["accumulated_loss"] + evaluation.loss,
        "accumulated_gradient": state["accumulated_gradient"]
        + evaluation.gradient,
    }
    state = state | sums

    def last():
        dtype = evaluation.gradient.dtype
        whole = evaluation._replace(
            loss=sums["accumulated_loss"] / parts,
            gradient=sums["accumulated_gradient"] / tf.constant(parts, dtype),
        )
        weights, after = advance(method, state, whole)
        zeros = {name: tf.zeros_like(total) for name, total in sums.items()}
        return after | zeros | {"next": weights}

    after = state | {"next": evaluation.weights}
    after |= changed_where(sums["batches"] == parts, after, last)
    return after.pop("next"), after


def advance(method, state, evaluation):
    """The weights to evaluate next, and the state after an evaluation."""
    seen = facts(state, evaluation)
    state = state | {
        "resumed": tf.zeros_like(state["resumed"]),
        "rewritten": counted_rewrites(state, evaluation, seen),
    }
    after = _followed(method, state, evaluation, seen)
    after |= counts(after, seen)
    after |= changed_where(
        after["accepted_steps"] > state["accepted_steps"],
        after,
        lambda: method.learn(state, after),
    )
    after |= changed_where(
        after["phase"] == CHOOSE,
        after,
        lambda: method.choose(after, evaluation),
    )
    is_rejected = tf.reduce_any(evaluation.weights != after["point"])
    after |= {"rejected": tf.cast(is_rejected, tf.int64)}
    return next_weights(after), after


def _followed(method, state, evaluation, seen):
    """The state after an evaluation, by what that was for."""
    phase = state["phase"]
    is_trial, is_renewed = phase == TRIAL, phase == RENEW
    # The evaluation went to the accepted point, the trial is still to come.
    is_spent = seen.is_over | (seen.is_returned & is_trial)
    goes_on = ~(seen.is_new_run | is_spent)
    is_compared = goes_on & ~(is_trial | is_renewed)
    outcomes = [
        (goes_on & is_trial, tried(method.judge(state, evaluation))),
        (goes_on & is_renewed, renewed(state, evaluation, seen)),
        (is_compared, compared(state, seen)),
        (seen.is_new_run, started(method, state, evaluation, seen)),
    ]
    after = state
    for condition, outcome in outcomes:
        after = select(condition, outcome, after, state)
    return after


def accept(state, weights, loss, gradient, loss_tolerance, is_noise):
    """The state after a step to another point was taken.

    Args:
        state: The state before.
        weights: The other point, shape (n,).
        loss: Float64 scalar, the loss there.
        gradient: The gradient there, shape (n,).
        loss_tolerance: Float in [0, 1).
        is_noise: Whether its `Reduction` is.
    """
    size, before = largest(gradient), smallest_before(state)
    is_smaller = size < before
    smallest = tf.where(is_smaller, size, state["smallest_gradient"])
    stalled = where(is_smaller, 0, state["stalled_steps"] + 1)
    is_small = is_small_change(state, loss, loss_tolerance)
    is_unconfirmed = (state["accepted_steps"] == 0) & (
        state["trials"] < TRIALS_BEFORE_CONFIRMATION
    )
    return state | {
        "phase": where(is_unconfirmed, CONFIRM, CHOOSE, state["phase"]),
        "status": where(
            is_small, StopReason.LOSS_TOLERANCE.code, state["status"]
        ),
        "accepted_steps": state["accepted_steps"] + 1,
        "smallest_gradient": where(is_noise, smallest, 0.0),
        "stalled_steps": where(is_noise, stalled, 0),
        "point": weights,
        "loss": loss,
        "gradient": gradient,
        "gradient_size": size,
    }
