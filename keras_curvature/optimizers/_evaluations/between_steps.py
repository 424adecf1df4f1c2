"""What happens to a solver and its model between two steps."""

import warnings

import keras
import tensorflow as tf

from keras_curvature._typing import Variables
from keras_curvature.optimizers._evaluations.outcomes import REWRITES
from keras_curvature.optimizers._evaluations.state import (
    RENEW,
    START,
    next_weights,
)
from keras_curvature.optimizers.solver import Solver, SolverError, number
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason


class BetweenSteps(Solver):
    """The part of `ReverseCommunication` that its model and user call.

    Between two steps the model has the weights of the next trial. Reads and
    writes `self._state`, the `RunState`.
    """

    def raise_on_error(self) -> None:
        try:
            super().raise_on_error()
        except SolverError as error:
            # Told once: a further step begins a new run.
            self._state.update(resumed=1)
            if error.reason is not StopReason.WEIGHTS_REWRITTEN:
                raise
            counts = keras.ops.convert_to_numpy(self._state["rewritten"])
            names = [
                variable.path
                for variable, count in zip(
                    self._trainable_variables, counts, strict=True
                )
                if count >= REWRITES
            ]
            raise SolverError(
                f"{error} Received: other values of {', '.join(names)}.",
                error.reason,
            ) from None

    def reset(self) -> None:
        if self.built:
            self._state.reset()
            self._reported = (0, 0)

    def announce_new_data(self) -> None:
        if not self._has_begun():
            return
        self._put(self._state["point"])
        # What the model has now is no choice of the user's.
        self._state.update(phase=RENEW, status=RUNNING, resumed=0)
        if self.gradient_accumulation_steps:
            names = ("batches", "accumulated_loss", "accumulated_gradient")
            self._state.update(
                **{name: tf.zeros_like(self._state[name]) for name in names}
            )

    def restore_accepted_point(self) -> None:
        """Gives the model the best point that was accepted.

        Between two steps the model has the weights of the next trial. The
        next step sees the difference: it spends its evaluation on the
        accepted point, and goes on from the trial if the loss is the same.
        """
        if self._has_begun():
            self._put(self._state["point"])

    def restore_trial(self) -> None:
        """Gives the model the weights that the next step is to evaluate.

        After `finalize_variable_values` that is the accepted point, where the
        next step sees whether the loss is still the same.
        """
        if self._has_begun() and not number(self._state["resumed"]):
            self._put(next_weights(self._state.read()))

    def _has_begun(self):
        return self.built and number(self._state["phase"]) != START

    def _put(self, vector):
        parts = self._flattening.unflatten(vector)
        for variable, part in zip(
            self._trainable_variables, parts, strict=True
        ):
            variable.assign(part)

    def finalize_variable_values(self, var_list: Variables) -> None:
        if not self.built:
            return
        self._state.update(resumed=1)
        super().finalize_variable_values(var_list)
        self._warn_of_evaluations()

    def _warn_of_evaluations(self):
        """Of a `fit` that cannot do what it was meant to do."""
        counts = tuple(
            int(number(self._state[name]))
            for name in ("evaluations", "non_finite_evaluations")
        )
        made, bad = (
            count - before
            for count, before in zip(counts, self._reported, strict=True)
        )
        self._reported = counts
        if self.stop_reason is None and made <= 1:
            warnings.warn(
                f"{self.name}: this call made one evaluation, which cannot "
                "go beyond the accepted point. Use more epochs in one `fit`, "
                "more `max_steps` in `solve`, or `train_on_batch`.",
                stacklevel=4,
            )
        if bad > 0:
            warnings.warn(
                f"{self.name}: {bad} of {made} evaluations were not finite "
                "and were taken for steps that are too long. Unless the loss "
                "has such points, look for NaN in the data.",
                stacklevel=4,
            )

    # Both counts as they stood after the last `fit`.
    _reported = (0, 0)
