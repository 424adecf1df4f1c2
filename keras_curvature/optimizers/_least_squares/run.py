"""The state of a run of least squares, as functions from state to state."""

import numpy as np
import tensorflow as tf

from keras_curvature.optimizers.stop_reason import RUNNING, StopReason

# A run ends only after so many steps on the same batch. Batches of a larger
# set may by chance have the same loss, but not again and again.
_REPEATS = 2
# Weights moved by hand are another matter than a layer that assigns its own in
# every forward pass.
_REWRITTEN = 3
# Steps near a solution need not become shorter one by one: where residuals are
# large they do so in pairs. Each may be longer than the one before, up to this
# part of what that one was held against.
_CONTRACTION = 0.1
# A short step between long ones, after a rejected trial, is none of the end.
_MEMORY_OF_LENGTHS = 0.9


def shapes(size, dtype):
    """Shape and dtype of each entry, for weights of this number and dtype.

    - `status`: code of the `StopReason`, 0 while the run goes on; `is_raised`:
      whether its error has reached the user;
    - `steps` of this run; `evaluations` of the loss, in all runs;
    - `accepted`: whether the last step was; `accepted_steps` of this run;
    - `repeats`: steps on the same batch; `changed_batches`: steps on another;
    - `rewritten`: how many steps in succession found other weights than the
      step before had left;
    - `loss` at the accepted `point`; `gradient_norm` where it was last taken;
    - `gain_ratio`, `trust_radius` and `damping` of the last step;
    - `last_free_length`: length below which a free step contracts, 0 where
      the radius bounded the last accepted one;
    - `relative_length`: the largest recent ‖D·d‖/‖D·w‖ of accepted steps, 0
      before one.
    """
    counts = (
        "status",
        "is_raised",
        "steps",
        "evaluations",
        "accepted",
        "accepted_steps",
        "repeats",
        "changed_batches",
        "rewritten",
    )
    numbers = (
        "loss",
        "gradient_norm",
        "gain_ratio",
        "trust_radius",
        "damping",
        "last_free_length",
        "relative_length",
    )
    return {
        **{name: ((), "int32") for name in counts},
        **{name: ((), dtype) for name in numbers},
        "point": ((size,), dtype),
    }


def begun(state, objective):
    """The entries before a step: zeros where a new run begins with it.

    That is where the weights were moved by hand, or after an error.

    Args:
        state: `RunState`.
        objective: `Objective`.
    """
    entries = state.read()
    epsilon = _epsilon(objective)
    size = tf.maximum(tf.abs(objective.weights), tf.abs(entries["point"]))
    # Not ≠: a compiler may have rounded the weights otherwise.
    is_moved = tf.reduce_any(
        tf.abs(objective.weights - entries["point"]) > 8 * epsilon * size
    )
    is_new = is_moved | (entries["is_raised"] > 0)
    is_same = _is_same_batch(entries, objective)
    # Another batch, but not after an error that nobody has seen.
    is_converged = (entries["status"] != RUNNING) & ~_is_error(entries)
    status = tf.where(is_converged & ~is_same, RUNNING, entries["status"])
    rewritten = tf.where(
        is_moved & (entries["steps"] > 0), entries["rewritten"] + 1, 0
    )
    entries = {**entries, "status": status, "rewritten": rewritten}
    return state.cleared(is_new, entries, kept=("evaluations", "rewritten"))


def carried_on(solver, state, objective, proposals, trial):
    """The state after a step.

    Args:
        solver: The `LeastSquaresSolver`, for its tolerances.
        state: Dict, the state before the step.
        objective: `Objective`.
        proposals: `Proposals`.
        trial: `Trial`.
    """
    is_finite = tf.math.is_finite(objective.loss + proposals.gradient)
    is_accepted = trial.is_accepted & is_finite
    reached = tf.where(is_accepted, trial.actual, 0)
    is_same = _is_same_batch(state, objective)
    repeats = tf.where(is_same, tf.minimum(state["repeats"], _REPEATS) + 1, 0)
    step = {
        "loss": objective.loss - reached,
        "gradient_norm": proposals.gradient,
        "gain_ratio": trial.ratio,
        "trust_radius": trial.radius,
        "damping": trial.damping,
        **{
            name: tf.where(is_accepted, length, state[name])
            for name, length in _lengths(state, proposals.norm, trial).items()
        },
        "repeats": repeats,
        **proposals.kept,
    }
    after = {
        name: tf.where(is_finite, value, state[name])
        for name, value in step.items()
    }
    is_changed = (state["steps"] > 0) & ~is_same
    moved = objective.weights + trial.step
    if proposals.bounds is not None:
        moved = proposals.bounds.reached(moved)
    return {
        **state,
        **after,
        "status": _status(
            solver, state, objective, proposals, trial, repeats >= _REPEATS
        ),
        "accepted": tf.cast(is_accepted, "int32"),
        "point": tf.where(is_accepted, moved, objective.weights),
        "steps": state["steps"] + 1,
        "evaluations": state["evaluations"] + 1 + trial.attempts,
        "accepted_steps": state["accepted_steps"]
        + tf.cast(is_accepted, "int32"),
        "changed_batches": state["changed_batches"]
        + tf.cast(is_changed, "int32"),
    }


def _lengths(state, norm, trial):
    """What is kept of the length of a step that is accepted."""
    # 0 after a step that was bounded: its length says nothing.
    free_length = tf.where(
        trial.is_free,
        tf.maximum(trial.length, _CONTRACTION * state["last_free_length"]),
        0,
    )
    relative = trial.length / tf.where(norm > 0, norm, tf.ones_like(norm))
    recent = _MEMORY_OF_LENGTHS * state["relative_length"]
    return {
        "last_free_length": free_length,
        "relative_length": tf.maximum(relative, recent),
    }


def _status(solver, state, objective, proposals, trial, may_end):
    """The code of the reason to end with this step, or 0."""
    loss, norm = objective.loss, proposals.norm
    largest = tf.maximum(tf.abs(trial.predicted), tf.abs(trial.actual))
    tests = {
        StopReason.INDEFINITE: objective.form.is_indefinite
        & tf.math.is_finite(loss),
        StopReason.NON_FINITE: ~tf.math.is_finite(loss + proposals.gradient),
        StopReason.WEIGHTS_REWRITTEN: state["rewritten"] >= _REWRITTEN,
        solver.reason_of_mixing: proposals.is_mixed & (state["steps"] == 0),
        StopReason.GRADIENT_TOLERANCE: proposals.gradient
        <= solver.gradient_tolerance * tf.sqrt(2 * tf.abs(loss)),
        StopReason.STEP_TOLERANCE: trial.is_accepted
        & (trial.length <= solver.step_tolerance * norm),
        StopReason.LOSS_TOLERANCE: trial.is_accepted
        & (largest <= solver.loss_tolerance * tf.abs(loss)),
        StopReason.PRECISION: trial.is_exhausted,
    }
    holds = tf.stack(list(tests.values()))
    holds &= may_end | tf.constant([reason.is_error for reason in tests])
    codes = tf.constant([*(reason.code for reason in tests), RUNNING])
    places = tf.constant(list(range(len(tests))))
    # Of the first that holds.
    status = tf.gather(
        codes, tf.reduce_min(tf.where(holds, places, len(tests)))
    )
    # A run that has ended stays ended.
    return tf.where(state["status"] == RUNNING, status, state["status"])


def _is_same_batch(state, objective):
    """Whether the loss at the accepted point is what it was there."""
    change = tf.abs(objective.loss - state["loss"])
    return (change <= objective.loss_rounding) & (state["steps"] > 0)


def _is_error(state):
    codes = [reason.code for reason in StopReason if reason.is_error]
    return tf.reduce_any(tf.equal(state["status"], codes))


def _epsilon(objective):
    return np.finfo(objective.weights.dtype.as_numpy_dtype).eps
