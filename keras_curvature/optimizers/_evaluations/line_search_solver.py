"""Solvers that search along quasi-Newton directions."""

import tensorflow as tf

from keras_curvature.optimizers._common.rounding import reduction_of
from keras_curvature.optimizers._evaluations import line_search
from keras_curvature.optimizers._evaluations.base import ReverseCommunication
from keras_curvature.optimizers._evaluations.evaluation import (
    dot,
    is_record,
    largest,
    may_stall,
    norm,
    rounding_error,
    where,
)
from keras_curvature.optimizers._evaluations.run import accept
from keras_curvature.optimizers._evaluations.state import (
    CHOOSE,
    TRIAL,
    VERIFY,
    shapes_of_line_search,
)
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason


class LineSearchSolver(ReverseCommunication):
    """Base of the methods w₊ = w + α d with d = −H g.

    A subclass sets `quasi_newton`, a `QuasiNewtonDirection`, and `rules`, the
    `line_search.Rules`.
    """

    def _method_shapes(self, size, dtype):
        return shapes_of_line_search(size, dtype) | self.quasi_newton.shapes(
            size, dtype
        )

    def judge(self, state, evaluation):
        """After a trial: the next one on the line, or the line's end."""
        before = line_search.unpack(state["search"])
        rounding = rounding_error(state)
        slope = dot(evaluation.gradient, state["direction"])
        reduction = reduction_of(
            state["loss"] - evaluation.loss,
            -before.step * before.origin.slope,
            before.step * before.origin.slope,
            before.step * slope,
            rounding,
        )
        loss = state["loss"] - reduction.value
        after, outcome = line_search.advance(
            before, loss, slope, self.rules, rounding
        )
        # Of noise a step has to make the gradient smaller, to lead on to longer
        # ones, or to be one of a few.
        is_useful = where(
            outcome == line_search.ACCEPT,
            is_record(state, evaluation.gradient) | may_stall(state),
            (outcome == line_search.CONTINUE) & (after.step > before.step),
        )
        is_futile = reduction.is_noise & ~is_useful
        outcome = where(is_futile, line_search.FAIL, outcome)
        state = state | {
            "search": line_search.pack(after),
            "low_gradient": tf.where(
                after.low.step == before.step,
                evaluation.gradient,
                state["low_gradient"],
            ),
        }

        def proceed():
            return state | {"trial": self._on_line(state, after.step)}

        def accept_trial():
            return self._accepted(
                state,
                before.step,
                evaluation.loss,
                evaluation.gradient,
                reduction.is_noise,
            )

        def fail():
            low = after.low
            return tf.cond(
                low.loss < state["loss"] - rounding,
                lambda: self._accepted(
                    state, low.step, low.loss, state["low_gradient"], False
                ),
                lambda: self._given_up(state),
            )

        return tf.cond(
            outcome == line_search.CONTINUE,
            proceed,
            lambda: tf.cond(outcome == line_search.ACCEPT, accept_trial, fail),
        )

    def _accepted(self, state, step_length, loss, gradient, is_noise):
        """The state after the step of this length was taken."""
        point = self._on_line(state, step_length)
        step = point - state["point"]
        learned = self.quasi_newton.update(
            state,
            step,
            gradient - state["gradient"],
            tf.cast(step_length, step.dtype),
            state["gradient"],
        )
        after = accept(
            state, point, loss, gradient, self.loss_tolerance, is_noise
        )
        moved = {"step_length": step_length, "moved": norm(step)}
        return after | learned | moved

    def _given_up(self, state):
        """No step is better: forget, or see why with nothing to forget."""
        phase = where(_is_steepest(state), VERIFY, CHOOSE, state["phase"])
        return state | self.quasi_newton.forget(state) | {"phase": phase}

    def choose(self, state, evaluation):
        """The next line and the first trial on it, unless converged."""
        gradient = state["gradient"]
        direction = self.quasi_newton.direction(state, gradient)
        slope = dot(gradient, direction)
        # Rounding can turn the direction uphill.
        is_downhill = (slope < 0) & tf.math.is_finite(slope)
        forgotten = self.quasi_newton.forget(state)
        state = state | {
            name: tf.where(is_downhill, state[name], nothing)
            for name, nothing in forgotten.items()
        }
        state["direction"] = tf.where(is_downhill, direction, -gradient)
        slope = tf.where(is_downhill, slope, -dot(gradient, gradient))
        search = line_search.start(state["loss"], slope, _first_step(state))
        is_converged = largest(gradient) <= self.gradient_tolerance
        status = where(
            is_converged & (state["status"] == RUNNING),
            StopReason.GRADIENT_TOLERANCE.code,
            state["status"],
        )
        return state | {
            "phase": tf.constant(TRIAL, tf.int64),
            "status": status,
            "search": line_search.pack(search),
            "trial": self._on_line(state, search.step),
        }

    def _on_line(self, state, step_length):
        """The point at a step length, as the variables can hold it."""
        step_length = tf.cast(step_length, state["point"].dtype)
        return self._rounded(state["point"] + step_length * state["direction"])

    def _progress(self):
        return super()._progress() | {"step_length": self._state["step_length"]}


def _is_steepest(state):
    """Whether the direction is −g, as where nothing was learned yet."""
    return tf.reduce_all(state["direction"] == -state["gradient"])


def _first_step(state):
    """1, or for steepest descent the step that moves the weights by about 1.

    After a restart the scale of the problem is known: by as much as the last
    step did.
    """
    is_first = state["accepted_steps"] == 0
    length = where(is_first, 1.0, tf.minimum(state["moved"], 1.0))
    return where(_is_steepest(state), length / norm(state["gradient"]), 1.0)
