"""What optimizers that see the model, not its gradients, have in common."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import (
    checked_integer,
    checked_number,
)
from keras_curvature.optimizers._common.options import refuse_options
from keras_curvature.optimizers._common.status import (
    FIRST_ERROR,
    REASONS,
    Status,
)
from keras_curvature.optimizers._least_squares.objective import Objective
from keras_curvature.optimizers._least_squares.penalties import l2_curvature
from keras_curvature.optimizers._least_squares.refusals import (
    refuse_model,
    refuse_narrow,
    refuse_variables,
)
from keras_curvature.optimizers._least_squares.trials import first_accepted

# `fit` ends only after so many steps on the same batch. Batches of a larger
# set may by chance have the same loss, but not again and again.
_REPEATS = 2


class LeastSquaresOptimizer(keras.optimizers.Optimizer):
    """Takes whole training steps of `keras_curvature.Model`.

    A subclass implements `_minimize(objective, variables)`. Around it are
    the trust region, the tests that end a training, and what `fit` logs.
    """

    # Whether the outputs of a sample may depend on the rest of the batch.
    may_mix_samples = True

    def __init__(
        self,
        initial_trust_radius,
        max_attempts,
        gradient_tolerance,
        step_tolerance,
        loss_tolerance,
        name,
        **kwargs,
    ):
        refuse_options(type(self).__name__, kwargs)
        super().__init__(learning_rate=1.0, name=name)
        self.initial_trust_radius = checked_number(
            "initial_trust_radius", initial_trust_radius, above=0
        )
        self.max_attempts = checked_integer(
            "max_attempts", max_attempts, minimum=1
        )
        self.gradient_tolerance = checked_number(
            "gradient_tolerance", gradient_tolerance, minimum=0
        )
        self.step_tolerance = checked_number(
            "step_tolerance", step_tolerance, minimum=0
        )
        self.loss_tolerance = checked_number(
            "loss_tolerance", loss_tolerance, minimum=0
        )

    def build(self, variables):
        if self.built:
            return
        variables = list(variables)
        self.dtype = refuse_variables(self, variables)
        self.size = sum(v.value.shape.num_elements() for v in variables)
        super().build(variables)
        self._status = self._scalar("status", "int32")
        self._radius = self._scalar("trust_radius")
        self._damping = self._scalar("damping")
        self._last_length = self._scalar("last_free_length")
        self._loss = self._scalar("loss")
        self._gradient_norm = self._scalar("gradient_norm")
        self._repeats = self._scalar("steps_on_the_same_batch", "int32")
        self._evaluations = self._scalar("evaluations", "int32")
        self._accepted_steps = self._scalar("accepted_steps", "int32")

    def _scalar(self, name, dtype=None):
        return self.add_variable(
            shape=(),
            dtype=dtype or self.dtype,
            aggregation="only_first_replica",
            name=name,
        )

    def minimize_on(self, step):
        """One training step.

        Args:
            step: `keras_curvature.training.TrainingStep`.

        Returns:
            Dict of scalar tensors, for the logs of `fit`.
        """
        refuse_model(self, step, self.may_mix_samples)
        variables = step.model.trainable_variables
        self.build(variables)
        refuse_narrow(step, self.dtype)
        objective = Objective(
            step, variables, l2_curvature(self, step.model, variables)
        )
        trial, logs = self._minimize(objective, variables)
        objective.move(trial.is_accepted, trial.step)
        self._iterations.assign_add(1)
        self._evaluations.assign_add(1 + trial.attempts)
        self._accepted_steps.assign_add(tf.cast(trial.is_accepted, "int32"))
        return {
            "accepted": tf.cast(trial.is_accepted, self.dtype),
            "attempts": trial.attempts,
            "gain_ratio": trial.ratio,
            "trust_radius": trial.radius,
            "status": tf.identity(self._status.value),
            **logs,
        }

    def _minimize(self, objective, variables):
        """The step of this optimizer and its own logs: `(Trial, dict)`."""
        raise NotImplementedError

    def _try_steps(self, objective, propose, norm):
        """The first proposed step that lowers the loss, as a `Trial`.

        Args:
            objective: `Objective`.
            propose: See `first_accepted`.
            norm: Scalar tensor, the norm of the weights in which lengths are
                measured.
        """
        radius = self._trust_radius(norm)
        last = tf.where(self._last_length > 0, self._last_length.value, np.inf)
        trial = first_accepted(
            objective,
            propose,
            radius,
            self._damping.value,
            last,
            self.max_attempts,
        )
        self._radius.assign(trial.radius)
        self._damping.assign(trial.damping)
        # 0 after a step that was bounded: its length says nothing.
        free = tf.where(trial.is_free, trial.length, 0)
        self._last_length.assign(
            tf.where(trial.is_accepted, free, self._last_length)
        )
        return trial

    def _trust_radius(self, norm):
        first = self.initial_trust_radius * tf.where(
            norm > 0, norm, tf.ones_like(norm)
        )
        return tf.where(self._radius > 0, self._radius.value, first)

    def _set_status(self, objective, trial, gradient, norm, is_mixed=False):
        """Says whether and why the training ends with this trial.

        Args:
            objective: `Objective`.
            trial: `Trial`.
            gradient: Scalar tensor, to be held against `gradient_tolerance`,
                in units of the square root of the loss.
            norm: Scalar tensor, as for `_try_steps`.
            is_mixed: Scalar bool tensor, whether samples were found mixed.
        """
        largest = tf.maximum(tf.abs(trial.predicted), tf.abs(trial.actual))
        is_accepted, loss = trial.is_accepted, objective.loss
        may_end = self._counted_repeats(objective, trial) >= _REPEATS
        self._gradient_norm.assign(gradient)
        tests = {
            Status.MIXED_SAMPLES: is_mixed & (self._iterations == 0),
            Status.NON_FINITE: ~tf.math.is_finite(loss + gradient),
            Status.GRADIENT: gradient
            <= self.gradient_tolerance * tf.sqrt(2 * tf.abs(loss)),
            Status.STEP: is_accepted
            & (trial.length <= self.step_tolerance * norm),
            Status.LOSS: is_accepted & (largest <= self.loss_tolerance * loss),
            Status.PRECISION: trial.is_exhausted,
        }
        status = tf.constant(Status.RUNNING.value)
        for code, holds in reversed(tests.items()):
            holds &= may_end | (code >= FIRST_ERROR)
            status = tf.where(holds, code.value, status)
        self._status.assign(status)

    def _counted_repeats(self, objective, trial):
        """How many steps before this one had the same batch, up to a few."""
        change = tf.abs(objective.loss - self._loss)
        is_same = (change <= objective.rounding) & (self._iterations > 0)
        repeats = tf.where(is_same, tf.minimum(self._repeats, _REPEATS) + 1, 0)
        self._repeats.assign(repeats)
        reached = tf.where(trial.is_accepted, trial.actual, 0)
        self._loss.assign(objective.loss - reached)
        return repeats

    def apply(self, grads, trainable_variables=None):
        raise RuntimeError(
            f"{type(self).__name__} needs more of the model than gradients. "
            "Received: gradients only, as a plain Keras model or a training "
            "loop of one's own gives. Build the model as "
            "keras_curvature.Model or keras_curvature.Sequential and train it "
            "with fit()."
        )

    @property
    def progress(self):
        """What a log shows of the run, as a dict of floats."""
        return {
            name: float(tf.convert_to_tensor(variable).numpy())
            for name, variable in {
                "accepted_loss": self._loss,
                "gradient_norm": self._gradient_norm,
                "evaluations": self._evaluations,
                "accepted_steps": self._accepted_steps,
            }.items()
        }

    @property
    def converged(self):
        """Whether the run has ended."""
        return self.stop_reason is not None

    def restore_accepted_point(self):
        """Nothing: between steps the model always has the accepted point."""

    def restore_trial(self):
        """Nothing: a step makes its trials itself."""

    @property
    def stop_reason(self):
        """Why the last training ended, None if it did not."""
        return REASONS.get(int(self._status.numpy())) if self.built else None

    def has_stopped(self):
        """Whether `fit` is to end now; raises where it cannot go on."""
        status = int(self._status.numpy())
        if status >= FIRST_ERROR:
            raise RuntimeError(f"{self.name}: {REASONS[status]}")
        return status != Status.RUNNING

    @property
    def learning_rate(self):
        """1: the length of a step is found, not set."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        raise ValueError(
            f"{type(self).__name__} has no learning rate: it finds the length "
            f"of each step. Received: learning_rate={learning_rate}. Leave "
            "out callbacks that set one."
        )

    def get_config(self):
        return {
            "initial_trust_radius": self.initial_trust_radius,
            "max_attempts": self.max_attempts,
            "gradient_tolerance": self.gradient_tolerance,
            "step_tolerance": self.step_tolerance,
            "loss_tolerance": self.loss_tolerance,
            "name": self.name,
        }
