"""Limited-memory BFGS."""

import math

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_integer,
    checked_number,
)
from keras_curvature.linalg.two_loop_recursion import (
    dot,
    inverse_hessian_product,
    store_pair,
)
from keras_curvature.optimizers._common.status import Status
from keras_curvature.optimizers._evaluations import line_search
from keras_curvature.optimizers._evaluations.base import (
    ReverseCommunication,
)
from keras_curvature.optimizers._evaluations.evaluation import (
    either,
    largest,
    rounding_error,
)
from keras_curvature.optimizers._evaluations.run import CHOOSE, TRIAL, VERIFY


@keras.saving.register_keras_serializable(package="keras_curvature")
class LBFGS(ReverseCommunication):
    """Limited-memory BFGS with a strong Wolfe line search.

        x₊ = x − α H g,   H ≈ (∇²L)⁻¹ from the last pairs
        s = x₊ − x and y = g₊ − g

    For losses that are a deterministic function of the weights: small and
    ill-conditioned problems, curve fitting, physics-informed networks. Works
    on any Keras model by reverse communication: each step of `fit` is one
    evaluation of loss and gradient at a trial point, and the optimizer
    chooses the next one. The loss must be the same function in every step:

    - the whole data in one batch, `fit(batch_size=len(x), shuffle=False)`, so
      that an epoch is an evaluation; or
    - many batches of equal size and `gradient_accumulation_steps` equal to
      their number, so that again an epoch is an evaluation.

    The first point is evaluated twice. If its loss changed (shuffled
    mini-batches, Dropout), the training stops with an error that explains it.

    While `fit` runs, the model has the weights of the next trial, which may
    be worse; after `fit` it has the best accepted point. With
    `keras_curvature.callbacks.SolverProgress` in the callbacks, validation,
    checkpoints and other callbacks see the accepted point too, the logs show
    the progress, and `fit` stops at convergence. Without it the steps after
    convergence change nothing. A second `fit` continues the first.

    Args:
        history_size: Int ≥ 1, number of pairs kept, each two vectors of the
            size of the weights. Defaults to `10`.
        line_search: `"strong_wolfe"`, or `"armijo"` for the first condition
            alone: fewer evaluations for a step, and steps that may give no
            pair. Defaults to `"strong_wolfe"`.
        sufficient_decrease: Float in [0, 0.5), μ of the Wolfe conditions.
            Defaults to `1e-4`.
        curvature: Float in [sufficient_decrease, 1), η of the Wolfe
            conditions; smaller is a more exact line search. Defaults to
            `0.9`.
        line_search_evaluations: Int ≥ 2, most evaluations in one line search.
            Defaults to `20`.
        gradient_tolerance: Float ≥ 0, in units of loss / weight. Stops where
            no entry of the gradient is larger. Defaults to `1e-8`.
        loss_tolerance: Float in [0, 1), dimensionless. Stops where a step
            lowered the loss by less than this part of it. Defaults to `0.0`,
            never.
        gradient_accumulation_steps: None or int ≥ 2, number of batches that
            make one evaluation, the mean of theirs. Defaults to `None`.
        loss_scale_factor: None or float, see `keras.optimizers.Optimizer`.
            Defaults to `None`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule, or is an option of Keras's
            optimizers that a line search cannot have (learning rate, weight
            decay, clipping, moving averages).
        RuntimeError: if the loss is not finite at the initial weights, or
            changes at the same weights (`tf.errors.InvalidArgumentError` in a
            graph; with `jit_compile` at the end of `fit`).

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import LBFGS

    x = np.linspace(-1, 1, 64)[:, None]
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(LBFGS(), loss="mse")
    model.fit(
        x, np.sin(3 * x), batch_size=64, shuffle=False, epochs=100, verbose=0
    )
    ```

    References:
        Liu, Nocedal, 1989, "On the limited memory BFGS method for large scale
        optimization", Mathematical Programming 45.
        Moré, Thuente, 1994, "Line search algorithms with guaranteed
        sufficient decrease", ACM TOMS 20(3).
    """

    def __init__(
        self,
        history_size=10,
        line_search="strong_wolfe",
        sufficient_decrease=1e-4,
        curvature=0.9,
        line_search_evaluations=20,
        gradient_tolerance=1e-8,
        loss_tolerance=0.0,
        gradient_accumulation_steps=None,
        loss_scale_factor=None,
        name=None,
        **options,
    ):
        super().__init__(
            gradient_tolerance,
            loss_tolerance,
            gradient_accumulation_steps,
            loss_scale_factor,
            name,
            options,
        )
        self.history_size = checked_integer("history_size", history_size, 1)
        self.line_search = checked_choice(
            "line_search", line_search, ("strong_wolfe", "armijo")
        )
        self.sufficient_decrease = checked_number(
            "sufficient_decrease", sufficient_decrease, minimum=0, below=0.5
        )
        self.curvature = checked_number(
            "curvature", curvature, minimum=self.sufficient_decrease, below=1
        )
        self.line_search_evaluations = checked_integer(
            "line_search_evaluations", line_search_evaluations, 2
        )

    def _method_state(self, size, dtype):
        return {
            "direction": ((size,), dtype),
            "steps": ((self.history_size, size), dtype),
            "changes": ((self.history_size, size), dtype),
            "pairs": ((), "int64"),
            "low_gradient": ((size,), dtype),
            "search": ((line_search.FIELDS,), "float64"),
            "step_length": ((), "float64"),
        }

    def _judge(self, state, evaluation):
        """After a trial: the next one on the line, or the line's end."""
        before = line_search.unpack(state["search"])
        slope = _slope(evaluation.gradient, state["direction"])
        rules = (
            self.sufficient_decrease,
            self.curvature if self.line_search == "strong_wolfe" else math.inf,
            self.line_search_evaluations,
        )
        noise = rounding_error(state)
        after, outcome = line_search.advance(
            before, evaluation.loss, slope, rules, noise
        )
        # The loss cannot tell: then the gradient must have become smaller.
        undecidable = (tf.abs(evaluation.loss - state["loss"]) <= noise) & (
            -before.step * before.origin.slope <= noise / 10
        )
        useful = (outcome == line_search.ACCEPT) & (
            largest(evaluation.gradient) < largest(state["gradient"])
        )
        outcome = either(undecidable & ~useful, line_search.FAIL, outcome)
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

        def accept():
            return self._accept(
                state, evaluation.gradient, before.step, evaluation.loss
            )

        def fail():
            return tf.cond(
                after.low.loss < state["loss"] - noise,
                lambda: self._accept(
                    state,
                    state["low_gradient"],
                    after.low.step,
                    after.low.loss,
                ),
                lambda: self._give_up(state),
            )

        return tf.cond(
            outcome == line_search.CONTINUE,
            proceed,
            lambda: tf.cond(outcome == line_search.ACCEPT, accept, fail),
        )

    def _accept(self, state, gradient, step_length, loss):
        point = self._on_line(state, step_length)
        steps, changes, pairs = store_pair(
            point - state["point"],
            gradient - state["gradient"],
            state["steps"],
            state["changes"],
            state["pairs"],
        )
        size = tf.maximum(tf.abs(state["loss"]), tf.abs(loss))
        little = tf.abs(state["loss"] - loss) < self.loss_tolerance * size
        return state | {
            "phase": tf.constant(CHOOSE, tf.int64),
            "status": either(
                little, Status.LOSS, Status.RUNNING, state["status"]
            ),
            "accepted_steps": state["accepted_steps"] + 1,
            "loss": loss,
            "point": point,
            "trial": point,
            "gradient": gradient,
            "steps": steps,
            "changes": changes,
            "pairs": pairs,
            "step_length": step_length,
        }

    def _give_up(self, state):
        """No step is better: forget the pairs, or see why with none."""
        forgetful = state["pairs"] == 0
        return state | {
            "phase": either(forgetful, VERIFY, CHOOSE, state["phase"]),
            "pairs": tf.zeros_like(state["pairs"]),
            "trial": state["point"],
        }

    def _choose(self, state, evaluation):
        """The next line and the first trial on it, unless converged."""
        gradient = state["gradient"]
        direction = -inverse_hessian_product(
            gradient, state["steps"], state["changes"], state["pairs"]
        )
        slope = _slope(gradient, direction)
        # Rounding can turn the direction uphill.
        downhill = slope < 0
        direction = tf.where(downhill, direction, -gradient)
        pairs = tf.where(downhill, state["pairs"], 0)
        slope = tf.where(downhill, slope, _slope(gradient, -gradient))
        search = line_search.start(
            state["loss"], slope, _first_step(state, pairs, gradient)
        )
        converged = largest(gradient) <= self.gradient_tolerance
        status = either(converged, Status.GRADIENT, state["status"])
        state = state | {
            "phase": tf.constant(TRIAL, tf.int64),
            "status": status,
            "direction": direction,
            "pairs": pairs,
            "search": line_search.pack(search),
        }
        trial = self._on_line(state, search.step)
        running = status == Status.RUNNING
        return state | {"trial": tf.where(running, trial, state["point"])}

    def _on_line(self, state, step_length):
        """The point at a step length, as the variables can hold it."""
        step_length = tf.cast(step_length, state["point"].dtype)
        point = state["point"] + step_length * state["direction"]
        return self._flattening.flatten(self._flattening.unflatten(point))

    def _progress(self, state):
        return super()._progress(state) | {"step_length": state["step_length"]}

    def get_config(self):
        return super().get_config() | {
            "history_size": self.history_size,
            "line_search": self.line_search,
            "sufficient_decrease": self.sufficient_decrease,
            "curvature": self.curvature,
            "line_search_evaluations": self.line_search_evaluations,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }


def _slope(gradient, direction):
    return tf.cast(dot(gradient, direction), tf.float64)


def _first_step(state, pairs, gradient):
    """1, or without pairs the step that moves the weights by about 1."""
    unit = 1 / tf.cast(tf.norm(gradient), tf.float64)
    # After a restart the scale of the problem is known to be smaller.
    unit = tf.where(state["accepted_steps"] == 0, unit, tf.minimum(unit, 1.0))
    return tf.where(pairs > 0, tf.ones_like(unit), unit)
