"""Solvers that search along quasi-Newton directions."""

from typing import Any

import tensorflow as tf

from keras_curvature.autodiff.dense_layers import is_of_dense_layers
from keras_curvature.optimizers._common.rounding import reduction_of
from keras_curvature.optimizers._evaluations import line_search
from keras_curvature.optimizers._evaluations.base import ReverseCommunication
from keras_curvature.optimizers._evaluations.evaluation import (
    Evaluation,
    dot,
    is_record,
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
    select,
    shapes_of_line_search,
)
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason

# Close to a minimum equation 3.60 tends to 1 and has to reach it.
_MARGIN = 1.01


class LineSearchSolver(ReverseCommunication):
    """Base of the methods w₊ = w + α d with d = −H g.

    A subclass sets `quasi_newton`, a `QuasiNewtonDirection`, and `rules`, the
    `line_search.Rules`.
    """

    def _method_shapes(self, size, dtype):
        return shapes_of_line_search(size, dtype) | self.quasi_newton.shapes(
            size, dtype
        )

    def _is_short(self, loss):
        return is_of_dense_layers(loss)

    def judge(
        self, state: dict[str, Any], evaluation: Evaluation
    ) -> dict[str, Any]:
        """After a trial: the next one on the line, or the line's end."""
        before = line_search.unpack(state["search"])
        rounding = rounding_error(state)
        after, outcome, is_noise = self._searched(
            state, evaluation, before, rounding
        )
        low = after.low
        state = state | {
            "search": line_search.pack(after),
            "low_gradient": tf.where(
                low.step == before.step,
                evaluation.gradient,
                state["low_gradient"],
            ),
        }
        goes_on = outcome == line_search.CONTINUE
        is_accepted = outcome == line_search.ACCEPT
        # A search that failed ends at its best step, if it has a better one.
        is_better = ~goes_on & (low.loss < state["loss"] - rounding)
        end = select(
            is_accepted,
            {
                "step": before.step,
                "loss": evaluation.loss,
                "gradient": evaluation.gradient,
            },
            {
                "step": low.step,
                "loss": low.loss,
                "gradient": state["low_gradient"],
            },
        )
        point = self._on_line(state, tf.where(goes_on, after.step, end["step"]))
        taken = self._taken(state, point, end, is_noise & is_accepted)
        return select(
            goes_on,
            state | {"trial": point},
            select(is_accepted | is_better, taken, self._given_up(state)),
        )

    def _searched(self, state, evaluation, search, rounding):
        """The search after a trial, its outcome, and whether that is noise."""
        slope = dot(evaluation.gradient, state["direction"])
        expected = search.step * search.origin.slope
        reduction = reduction_of(
            state["loss"] - evaluation.loss,
            -expected,
            expected,
            search.step * slope,
            rounding,
        )
        loss = state["loss"] - reduction.value
        after, outcome = line_search.advance(
            search, loss, slope, self.rules, rounding
        )
        # Of noise a step has to make the gradient smaller, to lead on to longer
        # ones, or to be one of a few.
        is_useful = tf.where(
            outcome == line_search.ACCEPT,
            is_record(state, evaluation.gradient) | may_stall(state),
            (outcome == line_search.CONTINUE) & (after.step > search.step),
        )
        is_futile = reduction.is_noise & ~is_useful
        outcome = where(is_futile, line_search.FAIL, outcome)
        return after, outcome, reduction.is_noise

    def _taken(self, state, point, end, is_noise):
        """The state after the step to the end of the line was taken."""
        after = accept(
            state,
            point,
            end["loss"],
            end["gradient"],
            self.loss_tolerance,
            is_noise,
        )
        moved = norm(point - state["point"])
        return after | {"step_length": end["step"], "moved": moved}

    def _given_up(self, state):
        """No step is better: forget, or see why with nothing to forget."""
        phase = where(_is_steepest(state), VERIFY, CHOOSE, state["phase"])
        return state | self.forget(state) | {"phase": phase}

    def learn(
        self, before: dict[str, Any], after: dict[str, Any]
    ) -> dict[str, Any]:
        step = after["point"] - before["point"]
        return self.quasi_newton.update(
            before,
            step,
            after["gradient"] - before["gradient"],
            tf.cast(after["step_length"], step.dtype),
            before["gradient"],
        )

    def forget(self, state: dict[str, Any]) -> dict[str, Any]:
        return self.quasi_newton.forget(state)

    def choose(
        self, state: dict[str, Any], evaluation: Evaluation
    ) -> dict[str, Any]:
        """The next line and the first trial on it, unless converged."""
        gradient = state["gradient"]
        direction = self.quasi_newton.direction(state, gradient)
        slope = dot(gradient, direction)
        # Rounding can turn the direction uphill.
        is_downhill = (slope < 0) & tf.math.is_finite(slope)
        state = select(is_downhill, state, state | self.forget(state))
        state["direction"] = tf.where(is_downhill, direction, -gradient)
        slope = tf.where(is_downhill, slope, -dot(gradient, gradient))
        search = line_search.start(
            state["loss"], slope, self._first_step(state, slope)
        )
        is_converged = state["gradient_size"] <= self.gradient_tolerance
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

    def _first_step(self, state, slope):
        """The first trial on a line with the slope φ'(0)."""
        if self.quasi_newton.has_unit_steps:
            unit = tf.ones([], tf.float64)
        else:
            unit = _step_of_equal_fall(state, slope)
        return tf.where(_is_steepest(state), _first_length(state), unit)

    def _on_line(self, state, step_length):
        """The point at a step length, as the variables can hold it."""
        step_length = tf.cast(step_length, state["point"].dtype)
        return self._rounded(state["point"] + step_length * state["direction"])

    def _progress(self):
        return super()._progress() | {"step_length": self._state["step_length"]}


def _is_steepest(state):
    """Whether the direction is −g, as where nothing was learned yet."""
    return tf.reduce_all(state["direction"] == -state["gradient"])


def _first_length(state):
    """The step of steepest descent that moves the weights by about 1.

    After a restart the scale of the problem is known: by as much as the last
    step did.
    """
    is_first = state["accepted_steps"] == 0
    length = where(is_first, 1.0, tf.minimum(state["moved"], 1.0))
    return tf.math.divide_no_nan(length, norm(state["gradient"]))


def _step_of_equal_fall(state, slope):
    """At most 1, where a parabola falls by as much as the last step did.

        α = min(1, 1.01 · 2·(φ(0) − φ_last(0)) / φ'(0))

    Where the last step gained nothing that a loss can show, or the loss is one
    of other data since, nothing is known and α = 1.

    References:
        Nocedal and Wright, 2006, "Numerical Optimization", equation 3.60.
    """
    fall = line_search.unpack(state["search"]).origin.loss - state["loss"]
    step = tf.minimum(-_MARGIN * 2 * fall / slope, 1)
    return tf.where(fall > rounding_error(state), step, tf.ones_like(step))
