"""What a solver leaves in the model between its steps and after them."""

import warnings

import tensorflow as tf

from keras_curvature.optimizers._common.status import (
    FIRST_ERROR,
    REASONS,
    Status,
)
from keras_curvature.optimizers._evaluations.evaluation import largest
from keras_curvature.optimizers._evaluations.run import START


class AcceptedPoint:
    """For `ReverseCommunication`: the best point, and how the run stands."""

    def restore_accepted_point(self):
        """Gives the model the best point that was accepted.

        Between two steps the model has the weights of the next trial. The
        next step sees the difference: it spends its evaluation on the
        accepted point, and goes on from the trial if the loss is the same.
        """
        if self.built and self._state["phase"].numpy() != START:
            self._put(self._state["point"])

    def restore_trial(self):
        """Gives the model the weights that the next step is to evaluate.

        After `finalize_variable_values` that is the accepted point, where the
        next step sees whether the loss is still the same.
        """
        if self.built and self._state["phase"].numpy() != START:
            resumed = self._state["resumed"].numpy()
            self._put(self._state["point" if resumed else "trial"])

    def _put(self, vector):
        parts = self._flattening.unflatten(tf.convert_to_tensor(vector))
        for variable, part in zip(
            self._trainable_variables, parts, strict=True
        ):
            variable.assign(part)

    def finalize_variable_values(self, var_list):
        """Leaves the best accepted point in the model; `fit` calls this."""
        if not self.built:
            return
        self.restore_accepted_point()
        self._state["resumed"].assign(1)
        status = Status(int(self._state["status"].numpy()))
        if status >= FIRST_ERROR:
            raise RuntimeError(f"{self.name}: {REASONS[status]}")
        evaluations = int(self._state["evaluations"].numpy())
        if status == Status.RUNNING and evaluations - self._finalized <= 1:
            warnings.warn(
                f"{self.name}: this `fit` made one evaluation, which cannot "
                "go beyond the accepted point. Use more epochs in one `fit`, "
                "or `train_on_batch`.",
                stacklevel=2,
            )
        self._finalized = evaluations

    _finalized = 0

    @property
    def progress(self):
        """What a log shows of the run, as a dict of floats."""
        return {
            name: float(tf.convert_to_tensor(value).numpy())
            for name, value in self._progress(self._state).items()
        }

    def _progress(self, state):
        return {
            "accepted_loss": state["loss"],
            "gradient_norm": largest(tf.convert_to_tensor(state["gradient"])),
            "evaluations": state["evaluations"],
            "accepted_steps": state["accepted_steps"],
        }

    @property
    def converged(self):
        """Whether the run has ended; further steps change nothing."""
        return self.stop_reason is not None

    @property
    def stop_reason(self):
        """Why the run has ended, or None."""
        if not self.built:
            return None
        return REASONS.get(Status(int(self._state["status"].numpy())))
