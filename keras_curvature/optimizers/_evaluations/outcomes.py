"""What may follow an evaluation, as functions of it and the state before."""

from typing import NamedTuple

import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import in_xla_context
from keras_curvature.optimizers._evaluations.evaluation import (
    is_finite,
    is_same,
    largest,
    where,
)
from keras_curvature.optimizers._evaluations.state import (
    CHOOSE,
    CONFIRM,
    START,
    TRIAL,
)
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason

# So many successive evaluations at other weights than the model was given are
# no user who sets weights between steps.
REWRITES = 3
# So many trials are made before the point where a run starts is evaluated
# once more, if none of them was accepted.
TRIALS_BEFORE_CONFIRMATION = 2
_ERRORS = [reason.code for reason in StopReason if reason.is_error]
# What a new run does not forget.
_LASTING = ("evaluations", "non_finite_evaluations")


class Facts(NamedTuple):
    """What an evaluation tells before it is known what it was for."""

    is_finite: tf.Tensor
    # Largest entry of the gradient.
    size: tf.Tensor
    # Loss and gradient are those of the accepted point.
    is_same: tf.Tensor
    is_at_point: tf.Tensor
    # The run had ended before; with an error.
    is_over: tf.Tensor
    has_failed: tf.Tensor
    # The user may have set weights.
    is_returned: tf.Tensor
    is_new_run: tf.Tensor


def facts(state, evaluation):
    """The `Facts` of an evaluation."""
    finite = is_finite(evaluation)
    size = largest(evaluation.gradient)
    same = finite & is_same(state, evaluation, size)
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
    return Facts(
        finite,
        size,
        same,
        is_at_point,
        status != RUNNING,
        has_failed,
        is_returned,
        is_new_run,
    )


def started(method, state, evaluation, seen):
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
            "gradient_size": seen.size,
            "trial": evaluation.weights,
        }
    )


def renewed(state, evaluation, seen):
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
        "gradient_size": seen.size,
        "smallest_gradient": tf.zeros_like(state["smallest_gradient"]),
        "stalled_steps": tf.zeros_like(state["stalled_steps"]),
    }


def tried(state):
    """After a trial was judged; the first few may have had other losses."""
    trials = state["trials"] + 1
    is_due = (
        (state["phase"] == TRIAL)
        & (state["accepted_steps"] == 0)
        & (trials == TRIALS_BEFORE_CONFIRMATION)
    )
    phase = where(is_due, CONFIRM, state["phase"])
    return state | {"trials": trials, "phase": phase}


def compared(state, seen):
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


def counted_rewrites(state, evaluation, seen):
    """How often in succession the weights came back altered."""
    is_altered = (
        evaluation.is_moved
        & ~seen.is_at_point
        & (state["resumed"] == 0)
        & (state["phase"] != START)
        & ~seen.has_failed
    )
    return where(is_altered, state["rewritten"] + 1, 0)


def counts(state, seen):
    is_counted = seen.is_new_run | ~seen.is_over
    is_bad = is_counted & ~seen.is_finite
    return {
        "evaluations": state["evaluations"] + tf.cast(is_counted, tf.int64),
        "non_finite_evaluations": state["non_finite_evaluations"]
        + tf.cast(is_bad, tf.int64),
    }
