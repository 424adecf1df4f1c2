"""What an evaluation makes of the state of a run, as functions of both.

Nothing is assigned here and nothing is known of Keras: a run goes from state
to state, so that it works on replicas, compiled and eagerly. A `method` is an
object with

- `judge(state, evaluation)`, after a trial: the state with the next trial, an
  accepted step (`accept`) or the phase `VERIFY`, where no trial is better;
- `choose(state, evaluation)`, at an accepted point: the state with the next
  trial and the phase `TRIAL`, or with the status of a run that has converged.

`state.py` says what a state holds.
"""

import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import in_xla_context
from keras_curvature.optimizers._evaluations.evaluation import (
    is_finite,
    is_record,
    is_same,
    is_small_change,
    largest,
    where,
)
from keras_curvature.optimizers._evaluations.state import (
    CHOOSE,
    CONFIRM,
    RENEW,
    START,
    TRIAL,
    next_weights,
)
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason

__all__ = ["accept", "accumulate", "advance"]

# So many successive evaluations at other weights than the model was given are
# no user who sets weights between steps.
REWRITES = 3
# So many trials are made before the point where a run starts is evaluated
# once more, if none of them was accepted.
_TRIALS_BEFORE_CONFIRMATION = 2
_ERRORS = [reason.code for reason in StopReason if reason.is_error]
# What a new run does not forget.
_LASTING = ("evaluations", "non_finite_evaluations")


def accumulate(method, state, evaluation, parts):
    """The state after one of `parts` batches that make an evaluation."""
    loss = state["accumulated_loss"] + evaluation.loss
    gradient = state["accumulated_gradient"] + evaluation.gradient
    batches = state["batches"] + 1

    def last():
        whole = evaluation._replace(
            loss=loss / parts,
            gradient=gradient / tf.constant(parts, gradient.dtype),
        )
        weights, after = advance(method, state, whole)
        return weights, after | {
            "batches": tf.zeros_like(batches),
            "accumulated_loss": tf.zeros_like(loss),
            "accumulated_gradient": tf.zeros_like(gradient),
        }

    def another():
        return evaluation.weights, state | {
            "batches": batches,
            "accumulated_loss": loss,
            "accumulated_gradient": gradient,
        }

    return tf.cond(batches == parts, last, another)


def advance(method, state, evaluation):
    """The weights to evaluate next, and the state after an evaluation."""
    phase = state["phase"]
    is_over = state["status"] != RUNNING
    has_failed = tf.reduce_any(state["status"] == tf.constant(_ERRORS, "int64"))
    # The user may have set weights: `fit` came to its end since the last
    # evaluation, or the model had others than it was given.
    is_returned = (state["resumed"] > 0) | tf.reduce_any(evaluation.is_moved)
    is_at_point = tf.reduce_all(evaluation.weights == state["point"])
    # Only the accepted point was put back: the run can go on from it.
    is_unchanged = is_at_point & is_same(state, evaluation)
    # A layer was frozen, say: the old pairs would move it nevertheless.
    connected = tf.cast(evaluation.has_gradient, tf.int64)
    is_other_loss = tf.reduce_any(connected != state["connected"])
    is_new_run = (
        (phase == START)
        | is_other_loss
        | (is_returned & (~is_unchanged | has_failed))
    )
    if not in_xla_context():
        # Its error was raised, and the training was begun again.
        is_new_run |= has_failed
    # The evaluation went to the accepted point, the trial is still to come.
    is_spent = is_over | (is_returned & (phase == TRIAL))
    rewritten = _counted_rewrites(state, evaluation, is_at_point, has_failed)
    state = state | {
        "resumed": tf.zeros_like(state["resumed"]),
        "rewritten": rewritten,
    }

    def follow():
        return tf.cond(
            phase == TRIAL,
            lambda: _tried(method.judge(state, evaluation)),
            lambda: tf.cond(
                phase == RENEW,
                lambda: _renewed(state, evaluation),
                lambda: _compared(state, evaluation),
            ),
        )

    after = tf.cond(
        is_new_run,
        lambda: _started(state, evaluation),
        lambda: tf.cond(is_spent, lambda: state, follow),
    )
    is_counted = is_new_run | ~is_over
    after = after | _counts(after, evaluation, is_counted)
    after = tf.cond(
        after["phase"] == CHOOSE,
        lambda: method.choose(after, evaluation),
        lambda: after,
    )
    is_rejected = tf.reduce_any(evaluation.weights != after["point"])
    after = after | {"rejected": tf.cast(is_rejected, tf.int64)}
    return next_weights(after), after


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
    is_smaller = is_record(state, gradient)
    smallest = tf.where(
        is_smaller, largest(gradient), state["smallest_gradient"]
    )
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


def _started(state, evaluation):
    """The state of a new run from the weights that the model has."""
    is_rewritten = tf.reduce_any(state["rewritten"] >= REWRITES)
    status = where(
        is_finite(evaluation),
        where(
            is_rewritten,
            StopReason.WEIGHTS_REWRITTEN.code,
            RUNNING,
            state["status"],
        ),
        StopReason.NON_FINITE.code,
    )
    kept = {name: state[name] for name in (*_LASTING, "rewritten")}
    return (
        {name: tf.zeros_like(t) for name, t in state.items()}
        | kept
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


def _renewed(state, evaluation):
    """After an evaluation of the accepted point on other data.

    What the method has learned stays: each difference of gradients that it
    has seen was one of the same data.
    """
    status = where(
        is_finite(evaluation),
        state["status"],
        StopReason.NON_FINITE.code,
    )
    return state | {
        "phase": tf.constant(CHOOSE, tf.int64),
        "status": status,
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


def _compared(state, evaluation):
    """After a second evaluation of the accepted point."""
    is_unchanged = is_same(state, evaluation)
    is_confirmation = state["phase"] == CONFIRM
    status = where(
        is_unchanged,
        where(
            is_confirmation, RUNNING, StopReason.PRECISION.code, state["status"]
        ),
        where(
            is_finite(evaluation),
            StopReason.LOSS_CHANGED.code,
            StopReason.NON_FINITE.code,
            state["status"],
        ),
    )
    # The first step was judged by two different losses: it is taken back.
    is_undone = is_confirmation & ~is_unchanged
    is_searching = state["accepted_steps"] == 0
    next_phase = where(is_searching, TRIAL, CHOOSE, state["phase"])
    is_confirmed = is_confirmation & is_unchanged
    return state | {
        "phase": tf.where(is_confirmed, next_phase, state["phase"]),
        "status": status,
        "point": tf.where(is_undone, state["start"], state["point"]),
        "loss": tf.where(is_undone, state["initial_loss"], state["loss"]),
    }


def _counted_rewrites(state, evaluation, is_at_point, has_failed):
    """How often in succession the weights came back altered."""
    is_altered = (
        evaluation.is_moved
        & ~is_at_point
        & (state["resumed"] == 0)
        & (state["phase"] != START)
        & ~has_failed
    )
    return where(is_altered, state["rewritten"] + 1, 0)


def _counts(state, evaluation, is_counted):
    count = tf.cast(is_counted, tf.int64)
    bad = tf.cast(is_counted & ~is_finite(evaluation), tf.int64)
    return {
        "evaluations": state["evaluations"] + count,
        "non_finite_evaluations": state["non_finite_evaluations"] + bad,
    }
