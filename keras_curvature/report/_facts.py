"""What a model and its loss are."""

import keras
import tensorflow as tf

from keras_curvature.autodiff.hessian import loss_and_gradients
from keras_curvature.optimizers import Solver


class LossAndGradient:
    """The gradient over some variables, for `DataPass.sum`."""

    def __init__(self, model_loss, hessian):
        self._model_loss, self._variables = model_loss, hessian.variables
        self._dtype = hessian.dtype
        self.names = []

    def __call__(self, batch, share):
        outputs = self._model_loss.outputs(batch[0])
        terms = self._model_loss.terms(batch, outputs)
        self.names = list(dict.fromkeys(term.name for term in terms))
        loss, gradients = loss_and_gradients(
            lambda: self._model_loss.total(batch, share), self._variables
        )
        return loss, [
            tf.cast(tf.convert_to_tensor(g), self._dtype) for g in gradients
        ]


def learning_rate(optimizer):
    """What it is now; None without one, and for solvers that need none."""
    if optimizer is None or isinstance(optimizer, Solver):
        return None
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
