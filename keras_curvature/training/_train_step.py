"""A training step under an outer tape."""

import keras

from keras_curvature.autodiff.curvature_tape import CurvatureTape


class CurvatureTrainStep:
    """Opens a `CurvatureTape` around the training step of a Keras model."""

    def train_step(self, data):
        if not _needs_curvature(self.optimizer):
            return super().train_step(data)
        with CurvatureTape():
            return super().train_step(data)


def _needs_curvature(optimizer):
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return getattr(optimizer, "uses_curvature", False)
