"""What optimizers that see the model, not its gradients, have in common."""

import keras
import tensorflow as tf

from keras_curvature.optimizers import _stopping
from keras_curvature.optimizers._checks import checked_number
from keras_curvature.optimizers._objective import Objective
from keras_curvature.optimizers._replicas import replica_count


class LeastSquaresOptimizer(keras.optimizers.Optimizer):
    """Takes whole training steps of `keras_curvature.Model`.

    A subclass implements `minimize(objective, variables)`, which moves the
    weights and returns logs: a dict of scalar tensors with the number
    `stop_reason` among them.
    """

    def __init__(
        self,
        gradient_tolerance=0.0,
        step_tolerance=0.0,
        loss_tolerance=0.0,
        name=None,
        **kwargs,
    ):
        if kwargs:
            raise ValueError(
                f"{type(self).__name__} accepts none of the arguments that "
                "change gradients or weights beside the step it computes. "
                f"Received: {', '.join(sorted(kwargs))}. Its arguments are in "
                "its docstring."
            )
        super().__init__(learning_rate=1.0, name=name)
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
        self._stop_code = self._scalar("stop_reason", "int32")

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
        logs = self.minimize(Objective(step, variables), variables)
        self._stop_code.assign(logs["stop_reason"])
        self._iterations.assign_add(1)
        return logs

    def minimize(self, objective, variables):
        raise NotImplementedError

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
        code = int(self._stop_code.numpy()) if self.built else 0
        return _stopping.reason_of(code)

    def has_stopped(self):
        """Whether `fit` is to end now."""
        code = int(self._stop_code.numpy())
        if code == _stopping.MIXED_SAMPLES:
            raise ValueError(_MIXED_SAMPLES.format(name=type(self).__name__))
        return code != _stopping.NOT_STOPPED

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
            reason = _inconstant(layer)
            if reason:
                raise ValueError(
                    f"{name} needs outputs that depend on the weights and on "
                    f"one sample alone. Received: layer {layer.name!r}, "
                    f"{reason}. Leave it out or set its `trainable` or rate "
                    "so that it is inactive."
                )


def _inconstant(layer):
    """Why a layer's outputs change from call to call, or None."""
    if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
        return "which mixes the samples of a batch in training"
    for rate in ("rate", "dropout", "recurrent_dropout", "stddev"):
        value = getattr(layer, rate, None)
        if isinstance(value, float) and value and hasattr(layer, "seed_generator"):
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


_MIXED_SAMPLES = (
    "{name} needs outputs of each sample that depend on that sample alone. "
    "Received: a model whose outputs for a batch differ from those for its "
    "samples one by one. Look for a layer that mixes samples or draws random "
    "numbers in training, or use keras_curvature.optimizers.GaussNewton, "
    "which differentiates the batch as a whole."
)
