"""A training step under an outer tape."""

import keras

from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.training.training_step import TrainingStep


class CurvatureTrainStep:
    """Opens a `CurvatureTape` around the training step of a Keras model."""

    def train_step(self, data):
        if not _needs_curvature(self.optimizer):
            return super().train_step(data)
        with CurvatureTape() as tape:
            optimizer = self.optimizer
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                tape.loss_scale = lambda: optimizer.dynamic_scale.value
            return super().train_step(data)

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
