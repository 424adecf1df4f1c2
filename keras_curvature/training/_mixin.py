"""A training step under an outer tape."""

import keras

from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.training._exact import ExactDerivatives
from keras_curvature.training._keras import (
    call_in_training,
    track_loss,
    training_loss,
)
from keras_curvature.training.training_step import TrainingStep


class CurvatureTrainStep(ExactDerivatives):
    """Opens a `CurvatureTape` around the training step of a Keras model."""

    def train_step(self, data):
        _refuse_loss_scale(self.optimizer)
        if _minimizes_models(self.optimizer):
            return self._minimizing_step(data)
        if not _needs_curvature(self.optimizer):
            return super().train_step(data)
        with CurvatureTape() as tape:
            optimizer = self.optimizer
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                tape.loss_scale = lambda: optimizer.dynamic_scale.value
            return super().train_step(data)

    def _minimizing_step(self, data):
        """A step of an optimizer that sees the model, not its gradients."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = call_in_training(self, x)
        loss = training_loss(self, x, y, y_pred, sample_weight)
        track_loss(self, loss, x)
        step = TrainingStep(self, x, y, y_pred, sample_weight, loss)
        logs = self.optimizer.minimize_on(step)
        return {**self.compute_metrics(x, y, y_pred, sample_weight), **logs}

    def make_train_function(self, force=False):
        known = self.train_function
        super().make_train_function(force)
        if _minimizes_models(self.optimizer) and (
            self.train_function is not known
        ):
            self.train_function = self._stopping(self.train_function)

    def _stopping(self, train_function):
        """The same function, which ends `fit` where the optimizer has."""

        def function(iterator):
            logs = train_function(iterator)
            if self.optimizer.has_stopped():
                self.stop_training = True
                reason = self.optimizer.stop_reason
                self.history.history["stop_reason"] = [reason]
            return logs

        return function

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        loss = super().compute_loss(
            x, y, y_pred, sample_weight, training=training
        )
        tape = CurvatureTape.current()
        if tape is not None and tape.is_recording:
            tape.training_step = TrainingStep(
                self, x, y, y_pred, sample_weight, loss
            )
        return loss


def _needs_curvature(optimizer):
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return getattr(optimizer, "uses_curvature", False)


def _minimizes_models(optimizer):
    """Whether it takes whole training steps: `minimize_on(training_step)`."""
    return hasattr(optimizer, "minimize_on")


def _refuse_loss_scale(optimizer):
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return
    if _minimizes_models(optimizer.inner_optimizer):
        name = type(optimizer.inner_optimizer).__name__
        raise ValueError(
            f"{name} cannot be wrapped in a LossScaleOptimizer, as Keras does "
            "under the dtype policy 'mixed_float16': losses of half precision "
            "cannot be compared near a minimum. Received: LossScaleOptimizer("
            f"{name}). Use the policy 'float32' or 'float64'."
        )
