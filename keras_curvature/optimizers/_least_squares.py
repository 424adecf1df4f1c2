"""What optimizers that see the model, not its gradients, have in common."""

import keras
import tensorflow as tf

from keras_curvature.optimizers._checks import (
    checked_number,
    refuse_options,
)
from keras_curvature.optimizers._objective import Objective
from keras_curvature.optimizers._replicas import replica_count
from keras_curvature.optimizers._status import FIRST_ERROR, REASONS, Status
from keras_curvature.optimizers._trust_region import first_accepted


class LeastSquaresOptimizer(keras.optimizers.Optimizer):
    """Takes whole training steps of `keras_curvature.Model`.

    A subclass implements `_propose_steps(objective, variables)`. Around it
    are the trust region, the tests that end a training, and what `fit` logs.
    """

    # Whether the outputs of a sample may depend on the rest of the batch.
    may_mix_samples = True

    def __init__(
        self,
        initial_trust_radius,
        gradient_tolerance,
        step_tolerance,
        loss_tolerance,
        name,
        **kwargs,
    ):
        refuse_options(type(self).__name__, kwargs)
        super().__init__(learning_rate=1.0, name=name)
        self.initial_trust_radius = checked_number(
            "initial_trust_radius", initial_trust_radius, minimum=1e-300
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
        self.dtype = _common_dtype(variables)
        self.size = sum(v.value.shape.num_elements() for v in variables)
        super().build(variables)
        self._status = self._scalar("status", "int32")
        self._radius = self._scalar("trust_radius")
        self._damping = self._scalar("damping")
        self._last_length = self._scalar("last_step_length")

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
        self._refuse(step)
        variables = step.model.trainable_variables
        self.build(variables)
        _refuse_narrow(step, self.dtype)
        objective = Objective(step, variables)
        trial, logs = self._minimize(objective, variables)
        objective.move(trial.is_accepted, trial.step)
        self._iterations.assign_add(1)
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

    def _try_steps(self, objective, propose, norm, max_attempts):
        """The first proposed step that lowers the loss, as a `Trial`.

        Args:
            objective: `Objective`.
            propose: See `first_accepted`.
            norm: Scalar tensor, the norm of the weights in which lengths are
                measured.
            max_attempts: Int.
        """
        radius = self._trust_radius(norm)
        last = tf.where(self._last_length > 0, self._last_length.value, radius)
        trial = first_accepted(
            objective,
            propose,
            radius,
            self._damping.value,
            last,
            max_attempts,
        )
        self._radius.assign(trial.radius)
        self._damping.assign(trial.damping)
        self._last_length.assign(
            tf.where(trial.is_accepted, trial.length, last)
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
            status = tf.where(holds, code.value, status)
        self._status.assign(status)

    def apply(self, grads, trainable_variables=None):
        raise RuntimeError(
            f"{type(self).__name__} needs more of the model than gradients. "
            "Received: gradients only, as a plain Keras model or a training "
            "loop of one's own gives. Build the model as "
            "keras_curvature.Model or keras_curvature.Sequential and train it "
            "with fit()."
        )

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
            "gradient_tolerance": self.gradient_tolerance,
            "step_tolerance": self.step_tolerance,
            "loss_tolerance": self.loss_tolerance,
            "name": self.name,
        }

    def _refuse(self, step):
        """Raises for what would make the steps wrong."""
        name = type(self).__name__
        if replica_count() > 1:
            raise ValueError(
                f"{name} runs on one device. Received: a strategy with "
                f"{replica_count()} replicas. Train without a strategy."
            )
        if step.model.losses:
            raise ValueError(
                f"{name} takes only the loss of compile(). Received: a model "
                f"with {len(step.model.losses)} further losses, from "
                "regularizers or add_loss(). Return them as outputs of the "
                "model: a penalty c·‖w‖² is the mean squared error of "
                "√c·w against 0."
            )
        overridden = type(step.model).compute_loss.__module__.split(".")[0]
        if overridden not in ("keras_curvature", "keras"):
            raise ValueError(
                f"{name} takes only the loss of compile(). Received: "
                f"{type(step.model).__name__} with its own compute_loss(). "
                "Return residuals as outputs of the model and compile it "
                "with loss='mse'."
            )
        for layer in step.model._flatten_layers():
            reason = _inconstant(layer, self.may_mix_samples)
            if reason:
                raise ValueError(
                    f"{name} needs outputs that depend on the weights and on "
                    f"one sample alone. Received: layer {layer.name!r}, "
                    f"{reason}. Leave it out or set its `trainable` or rate "
                    "so that it is inactive."
                )


def _inconstant(layer, may_mix_samples):
    """Why the outputs of a layer are no function of a sample, or None."""
    is_normalizing = isinstance(layer, keras.layers.BatchNormalization)
    if is_normalizing and layer.trainable and not may_mix_samples:
        return "which mixes the samples of a batch in training"
    for rate in ("rate", "dropout", "recurrent_dropout", "stddev"):
        value = getattr(layer, rate, None)
        if (
            isinstance(value, float)
            and value
            and hasattr(layer, "seed_generator")
        ):
            return "which draws random numbers in training"
    return None


def _common_dtype(variables):
    dtypes = sorted({v.dtype for v in variables})
    if len(dtypes) != 1 or dtypes[0] not in ("float32", "float64"):
        raise ValueError(
            "`trainable_variables` must all be float32 or all float64. "
            f"Received: {', '.join(dtypes) or 'no variables'}."
        )
    return dtypes[0]


def _refuse_narrow(step, dtype):
    """Raises where outputs or losses are rounded below the weights' dtype."""
    outputs = {o.dtype.name for o in keras.tree.flatten(step.outputs)}
    losses = {term.loss.dtype for term in step.loss_terms()}
    if outputs | losses != {dtype}:
        raise ValueError(
            f"The outputs and the loss must be computed in {dtype}, as the "
            f"weights are held. Received: outputs in {', '.join(outputs)} and "
            f"a loss in {', '.join(losses)}. Call keras.config.set_floatx("
            f"{dtype!r}) before the model is built, without a mixed dtype "
            "policy."
        )
