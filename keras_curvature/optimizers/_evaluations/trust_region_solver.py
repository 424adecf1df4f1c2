"""Solvers that try steps within a trust region."""

from typing import Any

import tensorflow as tf

from keras_curvature.linalg.dot import first
from keras_curvature.optimizers._common.rounding import reduction_of
from keras_curvature.optimizers._common.trust_region import (
    NEWTON,
    first_radius,
    gain_ratio,
    is_at_boundary,
    updated_radius,
)
from keras_curvature.optimizers._evaluations.base import ReverseCommunication
from keras_curvature.optimizers._evaluations.evaluation import (
    Evaluation,
    dot,
    epsilon,
    is_finite,
    is_record,
    may_stall,
    norm,
    rounding_error,
    where,
)
from keras_curvature.optimizers._evaluations.kept_steps import KEPT, shortened
from keras_curvature.optimizers._evaluations.run import accept
from keras_curvature.optimizers._evaluations.state import (
    TRIAL,
    VERIFY,
    select,
    shapes_of_trust_region,
)
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason


class TrustRegionSolver(ReverseCommunication):
    """Base of the methods w₊ = w + p with ‖p‖ ≤ Δ.

    A subclass sets `initial_trust_radius` and gives `_path(state, evaluation,
    radius, fall, is_stationary)`: the `SteihaugSteps` for the radii
    `radii_of_path(radius, KEPT)`, where `fall` is ‖g‖ / ‖g₀‖. Where the point
    is stationary they lead along negative curvature, or are 0 without one.
    """

    def _method_shapes(self, size, dtype):
        return shapes_of_trust_region(size, dtype, KEPT)

    def judge(
        self, state: dict[str, Any], evaluation: Evaluation
    ) -> dict[str, Any]:
        """After a trial: accept it, or shorten it along the kept path."""
        length, radius = first(state["path_lengths"]), state["trust_radius"]
        ratio, reduction = _gain(state, evaluation)
        is_bounded = is_at_boundary(length, radius)
        # Of noise a step has to make the gradient smaller, to lead on to longer
        # ones, or to be one of a few.
        is_useful = (
            is_record(state, evaluation.gradient)
            | (is_bounded & (ratio > NEWTON.very_good))
            | may_stall(state)
        )
        is_accepted = (ratio > NEWTON.accepted) & (
            ~reduction.is_noise | is_useful
        )
        smallest = epsilon(state) * norm(state["point"])
        is_hopeless = reduction.is_hidden | (
            norm(first(state["path_steps"])) <= smallest
        )
        state = state | {
            "trust_radius": updated_radius(
                radius, length, ratio, ~is_bounded, NEWTON
            ),
            "accepted": tf.cast(is_accepted, tf.int64),
        }
        return select(
            is_accepted,
            accept(
                state,
                *evaluation[:3],
                self.loss_tolerance,
                reduction.is_noise,
            ),
            self._rejected(state, is_hopeless),
        )

    def _rejected(self, state, is_hopeless):
        after = state | shortened(state)
        phase = where(is_hopeless, VERIFY, TRIAL, state["phase"])
        return after | {"phase": phase, "trial": self._trial(after)}

    def choose(
        self, state: dict[str, Any], evaluation: Evaluation
    ) -> dict[str, Any]:
        """The next truncated step, unless converged."""
        gradient = state["gradient"]
        gradient_norm = tf.cast(norm(gradient), gradient.dtype)
        initial = state["initial_gradient_norm"]
        initial = tf.where(initial == 0, gradient_norm, initial)
        radius = tf.where(
            state["trust_radius"] == 0,
            self._first_radius(state),
            state["trust_radius"],
        )
        is_stationary = state["gradient_size"] <= self.gradient_tolerance
        fall = tf.math.divide_no_nan(gradient_norm, initial)
        found = self._path(state, evaluation, radius, fall, is_stationary)
        predicted = -(first(found.slopes) + first(found.curvatures) / 2)
        is_converged = is_stationary & (
            tf.cast(predicted, tf.float64) <= rounding_error(state)
        )
        products = tf.cast(found.iterations, tf.int64)
        state = state | {
            "phase": tf.constant(TRIAL, tf.int64),
            "status": where(
                is_converged & (state["status"] == RUNNING),
                StopReason.GRADIENT_TOLERANCE.code,
                state["status"],
            ),
            "path_steps": found.steps,
            "path_slopes": found.slopes,
            "path_curvatures": found.curvatures,
            "path_lengths": found.lengths,
            "trust_radius": radius,
            "initial_gradient_norm": initial,
            "cg_iterations": products,
            "hessian_products": state["hessian_products"] + products,
        }
        return state | {"trial": self._trial(state)}

    def _first_radius(self, state):
        start = tf.cast(norm(state["start"]), state["start"].dtype)
        return first_radius(self.initial_trust_radius, start)

    def _trial(self, state):
        return self._rounded(state["point"] + first(state["path_steps"]))

    def _progress(self):
        names = ("trust_radius", "cg_iterations", "hessian_products")
        return super()._progress() | {
            name: self._state[name] for name in (*names, "accepted")
        }


def _gain(state, evaluation):
    """The gain ratio of a trial, and its `Reduction`."""
    predicted = tf.cast(
        -(first(state["path_slopes"]) + first(state["path_curvatures"]) / 2),
        tf.float64,
    )
    step = evaluation.weights - state["point"]
    reduction = reduction_of(
        state["loss"] - evaluation.loss,
        predicted,
        dot(state["gradient"], step),
        dot(evaluation.gradient, step),
        rounding_error(state),
    )
    ratio = gain_ratio(reduction.value, predicted)
    return where(is_finite(evaluation), ratio, -1.0), reduction
