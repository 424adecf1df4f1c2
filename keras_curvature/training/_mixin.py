"""A Keras model whose training step is differentiated again."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from keras_curvature._typing import Structure
from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.variables import created_outside_of_traces
from keras_curvature.optimizers.solver import Solver
from keras_curvature.training._exact import ExactDerivatives
from keras_curvature.training._keras import (
    call_in_training,
    is_built,
    track_loss,
    training_loss,
)
from keras_curvature.training.solver_callback import (
    SolverCallback,
    minimize_progress,
    watched,
)
from keras_curvature.training.training_step import TrainingStep


class CurvatureTrainStep(ExactDerivatives):
    """Gives an optimizer what Keras does not: curvature, or the whole step.

    It looks for three things in the optimizer that the model is compiled
    with:

    - `uses_curvature`, a bool: the training step is recorded by a
      `CurvatureTape`, from which `curvature_of` takes its products;
    - `train_on(step)`, a method: it is given the `TrainingStep` instead of
      gradients, moves the weights itself and returns the loss before that;
    - `Solver`, the base class: `fit` ends with its run.
    """

    def train_step(self, data: Structure) -> Any:
        _refuse_loss_scale(self.optimizer)
        if not is_built(self):
            # Weights that are still to come may begin with values of the data.
            return self._step(data)
        with created_outside_of_traces():
            if isinstance(self.optimizer, Solver) and self.trainable_weights:
                # Only then it can tell whether it has rejected weights.
                self.optimizer.build(self.trainable_weights)
            return self._step(data)

    def _step(self, data):
        if _takes_steps(self.optimizer):
            return self._step_without_gradients(data)
        if getattr(self.optimizer, "was_rejected", None) is None:
            return self._step_with_gradients(data)
        before = _state_of_layers(self)
        logs = self._step_with_gradients(data)
        # Take back what layers saw of rejected weights, such as statistics.
        is_rejected = self.optimizer.was_rejected
        for variable, value in before:
            variable.assign(tf.where(is_rejected, value, variable.value))
        return logs

    def _step_with_gradients(self, data):
        """A step of an optimizer that is given gradients."""
        if not _needs_curvature(self.optimizer):
            return super().train_step(data)
        with CurvatureTape() as tape:
            optimizer = self.optimizer
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                tape.loss_scale = lambda: optimizer.dynamic_scale.value
            return super().train_step(data)

    def _step_without_gradients(self, data):
        """A step of an optimizer that sees the model, not its gradients."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = call_in_training(self, x)
        # Trials update moving statistics too: those of the accepted point stay.
        statistics = _state_of_layers(self)
        # Keras resolves the losses of compile() when it first computes them.
        loss = training_loss(self, x, y, y_pred, sample_weight)
        step = TrainingStep(self, x, y, y_pred, sample_weight, loss)
        track_loss(self, self.optimizer.train_on(step), x)
        for variable, value in statistics:
            variable.assign(value)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def make_train_function(self, force: bool = False) -> Any:
        super().make_train_function(force)
        if isinstance(self.optimizer, Solver):
            self.train_function = watched(self.train_function, self)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        if not isinstance(getattr(self, "optimizer", None), Solver):
            return super().fit(*args, **kwargs)
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs)
        given = dict(given.arguments)
        del given["self"]
        given["callbacks"] = _with_solver_callback(self, given.get("callbacks"))
        try:
            return super().fit(**given)
        except KeyboardInterrupt:
            self.optimizer.restore_accepted_point()
            raise
        except ValueError as error:
            _explain_lengths(error)
            raise

    def compute_loss(
        self,
        x: Structure = None,
        y: Structure = None,
        y_pred: Structure = None,
        sample_weight: Structure = None,
        training: bool = True,
    ) -> Any:
        loss = super().compute_loss(
            x, y, y_pred, sample_weight, training=training
        )
        tape = CurvatureTape.current()
        if tape is not None and tape.is_recording:
            tape.training_step = TrainingStep(
                self, x, y, y_pred, sample_weight, loss
            )
        return loss


def _state_of_layers(model):
    """What a forward pass may change, such as moving statistics."""
    return [(v, tf.identity(v.value)) for v in model.non_trainable_weights]


def _needs_curvature(optimizer):
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return getattr(optimizer, "uses_curvature", False)


def _takes_steps(optimizer):
    return hasattr(optimizer, "train_on")


def _with_solver_callback(model, callbacks):
    """The callbacks of a `fit`, with one that looks after the solver first."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        present = callbacks.callbacks
    else:
        present = keras.tree.flatten(callbacks) if callbacks else []
    minimize_progress(present)
    if any(isinstance(c, SolverCallback) for c in present):
        return callbacks
    ours = SolverCallback()
    if isinstance(callbacks, keras.callbacks.CallbackList):
        ours.set_model(model)
        present.insert(0, ours)
        return callbacks
    return [ours, *present]


def _explain_lengths(error):
    """Says where arrays of several lengths can be trained on."""
    if "cardinality is ambiguous" in str(error):
        raise ValueError(
            f"{str(error).strip()} For point sets of different lengths train "
            "with keras_curvature.solve(), or with "
            "tf.data.Dataset.from_tensors((x, y)).repeat()."
        ) from None


def _refuse_loss_scale(optimizer):
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return
    inner = optimizer.inner_optimizer
    if isinstance(inner, Solver) or _takes_steps(inner):
        name = type(inner).__name__
        raise ValueError(
            f"{name} cannot be wrapped in a LossScaleOptimizer, as Keras does "
            "under the dtype policy 'mixed_float16': losses of half precision "
            "cannot be compared near a minimum. Received: LossScaleOptimizer("
            f"{name}). Use the policy 'float32' or 'float64'."
        )
