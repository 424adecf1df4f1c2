"""What an evaluation makes of the state of a run, as functions of both.

Nothing is assigned here and nothing is known of Keras: a run goes from state
to state, so that it works on replicas, compiled and eagerly. What a state
holds says `state.py`; what drives it is a `Method`.

All that may follow an evaluation is computed and one of it selected, except
where vectors are learned from or a step is chosen: a `tf.cond` for each would
take longer to trace, and to pass a state through, than its few numbers take.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import in_xla_context
from keras_curvature.optimizers._evaluations.evaluation import (
    is_finite,
    is_same,
    is_small_change,
    largest,
    smallest_before,
    where,
)
from keras_curvature.optimizers._evaluations.state import (
    CHOOSE,
    CONFIRM,
    RENEW,
    START,
    TRIAL,
    changed_where,
    next_weights,
    select,
)
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason

__all__ = ["Method", "accept", "accumulate", "advance"]

# So many successive evaluations at other weights than the model was given are
# no user who sets weights between steps.
REWRITES = 3
# So many trials are made before the point where a run starts is evaluated
# once more, if none of them was accepted.
_TRIALS_BEFORE_CONFIRMATION = 2
_ERRORS = [reason.code for reason in StopReason if reason.is_error]
# What a new run does not forget.
_LASTING = ("evaluations", "non_finite_evaluations")


class Method:
    """What chooses the trials of a run, by pure functions of its state."""

    def judge(self, state, evaluation):
        """After a trial: the state with the next one, or with its end.

        That is an accepted step (`accept`) or the phase `VERIFY`, where no
        trial is better. Computed after any evaluation, and kept after a trial.
        """
        raise NotImplementedError

    def learn(self, before, after):
        """What the method keeps of an accepted step, as a dict of its keys.

        Args:
            before: The state with the point, gradient and loss of before.
            after: The state with those of the accepted step.
        """
        return {}

    def choose(self, state, evaluation):
        """At an accepted point: the state with the next trial.

        Its phase is `TRIAL`, or its status that of a run that has converged.
        """
        raise NotImplementedError

    def forget(self, state):
        """What a new run begins with of its own vectors; scalars are 0."""
        return {}


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
    seen = _seen(state, evaluation)
    state = state | {
        "resumed": tf.zeros_like(state["resumed"]),
        "rewritten": _counted_rewrites(state, evaluation, seen),
    }
    phase = state["phase"]
    is_trial, is_renewed = phase == TRIAL, phase == RENEW
    # The evaluation went to the accepted point, the trial is still to come.
    is_spent = seen.is_over | (seen.is_returned & is_trial)
    is_followed = ~(seen.is_new_run | is_spent)
    after = state
    for condition, outcome in (
        (
            is_followed & is_trial,
            _tried(method.judge(state, evaluation)),
        ),
        (is_followed & is_renewed, _renewed(state, evaluation, seen)),
        (
            is_followed & ~(is_trial | is_renewed),
            _compared(state, seen),
        ),
        (seen.is_new_run, _started(method, state, evaluation, seen)),
    ):
        after = select(condition, outcome, after, state)
    after |= _counts(after, seen)
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


class _Seen(NamedTuple):
    """What an evaluation tells before it is known what it was for."""

    is_finite: tf.Tensor
    # Loss and gradient are those of the accepted point.
    is_same: tf.Tensor
    is_at_point: tf.Tensor
    # The run had ended before, with an error.
    is_over: tf.Tensor
    has_failed: tf.Tensor
    # The user may have set weights.
    is_returned: tf.Tensor
    is_new_run: tf.Tensor


def _seen(state, evaluation):
    finite = is_finite(evaluation)
    same = finite & is_same(state, evaluation)
    is_at_point = tf.reduce_all(evaluation.weights == state["point"])
    status = state["status"]
    has_failed = tf.reduce_any(status == tf.constant(_ERRORS, "int64"))
    # `fit` came to its end since the last evaluation, or the model had other
    # weights than it was given. Where only the accepted point was put back,
    # the run can go on from it.
    is_returned = (state["resumed"] > 0) | tf.reduce_any(evaluation.is_moved)
    # A layer was frozen, say: the old pairs would move it nevertheless.
    connected = tf.cast(evaluation.has_gradient, tf.int64)
    is_other_loss = tf.reduce_any(connected != state["connected"])
    is_new_run = (
        (state["phase"] == START)
        | is_other_loss
        | (is_returned & (~(is_at_point & same) | has_failed))
    )
    if not in_xla_context():
        # Its error was raised, and the training was begun again.
        is_new_run |= has_failed
    return _Seen(
        finite,
        same,
        is_at_point,
        status != RUNNING,
        has_failed,
        is_returned,
        is_new_run,
    )


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
        state["trials"] < _TRIALS_BEFORE_CONFIRMATION
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
    }


def _started(method, state, evaluation, seen):
    """The state of a new run from the weights that the model has."""
    is_rewritten = tf.reduce_any(state["rewritten"] >= REWRITES)
    status = where(
        seen.is_finite,
        where(
            is_rewritten,
            StopReason.WEIGHTS_REWRITTEN.code,
            RUNNING,
            state["status"],
        ),
        StopReason.NON_FINITE.code,
    )
    zeros = {d: tf.zeros([], d) for d in {t.dtype for t in state.values()}}
    forgotten = {
        name: zeros[tensor.dtype]
        for name, tensor in state.items()
        if tensor.shape.rank == 0 and name not in _LASTING
    }
    return (
        state
        | forgotten
        | method.forget(state)
        | {
            # Not START, from where a failed run would begin again under XLA.
            "phase": where(status == RUNNING, CHOOSE, CONFIRM, state["phase"]),
            "status": status,
            "connected": tf.cast(evaluation.has_gradient, tf.int64),
            "start": evaluation.weights,
            "initial_loss": evaluation.loss,
            "point": evaluation.weights,
            "loss": evaluation.loss,
            "gradient": evaluation.gradient,
            "trial": evaluation.weights,
        }
    )


def _renewed(state, evaluation, seen):
    """After an evaluation of the accepted point on other data.

    What the method has learned stays: each difference of gradients that it
    has seen was one of the same data.
    """
    return state | {
        "phase": tf.constant(CHOOSE, tf.int64),
        "status": where(
            seen.is_finite, state["status"], StopReason.NON_FINITE.code
        ),
        "loss": evaluation.loss,
        "gradient": evaluation.gradient,
        "smallest_gradient": tf.zeros_like(state["smallest_gradient"]),
        "stalled_steps": tf.zeros_like(state["stalled_steps"]),
    }


def _tried(state):
    """After a trial was judged; the first few may have had other losses."""
    trials = state["trials"] + 1
    is_due = (
        (state["phase"] == TRIAL)
        & (state["accepted_steps"] == 0)
        & (trials == _TRIALS_BEFORE_CONFIRMATION)
    )
    phase = where(is_due, CONFIRM, state["phase"])
    return state | {"trials": trials, "phase": phase}


def _compared(state, seen):
    """After a second evaluation of the accepted point."""
    is_confirmation = state["phase"] == CONFIRM
    status = where(
        seen.is_same,
        where(
            is_confirmation, RUNNING, StopReason.PRECISION.code, state["status"]
        ),
        where(
            seen.is_finite,
            StopReason.LOSS_CHANGED.code,
            StopReason.NON_FINITE.code,
            state["status"],
        ),
    )
    # The first step was judged by two different losses: it is taken back.
    is_undone = is_confirmation & ~seen.is_same
    is_searching = state["accepted_steps"] == 0
    next_phase = where(is_searching, TRIAL, CHOOSE, state["phase"])
    is_confirmed = is_confirmation & seen.is_same
    return state | {
        "phase": tf.where(is_confirmed, next_phase, state["phase"]),
        "status": status,
        "point": tf.where(is_undone, state["start"], state["point"]),
        "loss": tf.where(is_undone, state["initial_loss"], state["loss"]),
    }


def _counted_rewrites(state, evaluation, seen):
    """How often in succession the weights came back altered."""
    is_altered = (
        evaluation.is_moved
        & ~seen.is_at_point
        & (state["resumed"] == 0)
        & (state["phase"] != START)
        & ~seen.has_failed
    )
    return where(is_altered, state["rewritten"] + 1, 0)


def _counts(state, seen):
    is_counted = seen.is_new_run | ~seen.is_over
    is_bad = is_counted & ~seen.is_finite
    return {
        "evaluations": state["evaluations"] + tf.cast(is_counted, tf.int64),
        "non_finite_evaluations": state["non_finite_evaluations"]
        + tf.cast(is_bad, tf.int64),
    }
