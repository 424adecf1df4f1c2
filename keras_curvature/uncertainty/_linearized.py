"""Outputs of a model with their Jacobians, part by part of the inputs."""

import tensorflow as tf

from keras_curvature.autodiff.per_sample import per_sample_jacobian
from keras_curvature.operators.kronecker.layer_jacobians import UnknownUse
from keras_curvature.uncertainty._arguments import refuse_other_shapes
from keras_curvature.uncertainty._layers_of_outputs import LayersOfOutputs
from keras_curvature.uncertainty._parts import in_parts
from keras_curvature.uncertainty._rows import DenseRows

# The entries of Jacobians that are held at once.
_ENTRIES = 2**24


class Linearized:
    """A model linearized in its weights.

    The Jacobian of a sample is kept as products of what its layers got and
    what comes back to them, where all weights are kernels, biases, scales and
    tables of Keras's layers and samples do not depend on each other, and
    formed where not.

    Args:
        model: `keras.Model`.
        fit: `Fit`, whose likelihood says what is linear: outputs or logits.
    """

    def __init__(self, model, fit):
        self._model = model
        self._fit = fit
        self._layers = LayersOfOutputs(self._latent, fit.variables)
        self._compiled = tf.function(
            self._of_part, reduce_retracing=True, autograph=False
        )

    def parts(self, x):
        """Pairs of outputs `(batch, m)` and `DenseRows` or `LayerRows`.

        Args:
            x: Inputs: array, list or dict of arrays.
        """
        self._fit.refuse_moved()
        refuse_other_shapes(self._model, x)
        try:
            found = list(self._by_layers(x))
        except UnknownUse:
            found = self._by_samples(x)
        yield from found

    def _by_layers(self, x):
        first = next(in_parts(x, 1))
        at_once = max(1, _ENTRIES // self._layers.entries(first))
        for part in in_parts(x, at_once):
            yield self._layers.rows(part)

    def _by_samples(self, x):
        at_once = max(
            1, _ENTRIES // (self._fit.outputs * len(self._fit.values))
        )
        for part in in_parts(x, at_once):
            mean, jacobian = self._compiled(part)
            jacobian = jacobian.numpy().astype(float)
            yield mean.numpy().astype(float), DenseRows(jacobian)

    def _latent(self, x):
        outputs = self._model(x, training=False)
        return self._fit.likelihood.latent(outputs)

    def _of_part(self, x):
        mean, jacobians = per_sample_jacobian(
            self._latent, x, self._fit.variables
        )
        shape = (tf.shape(mean)[0], self._fit.outputs)
        flat = [
            tf.reshape(jacobian, (*shape, size))
            for jacobian, size in zip(jacobians, self._fit.sizes, strict=True)
        ]
        return mean, tf.concat(flat, 2)
