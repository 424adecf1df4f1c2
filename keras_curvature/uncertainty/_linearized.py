"""Outputs of a model with their Jacobians, part by part of the inputs."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.per_sample import per_sample_jacobian

# The entries of Jacobians that are held at once.
_ENTRIES = 2**24


class Linearized:
    """A model linearized in its weights.

    Args:
        model: `keras.Model`.
        fit: `Fit`, whose likelihood says what is linear: outputs or logits.
    """

    def __init__(self, model, fit):
        self._model = model
        self._fit = fit
        self._compiled = tf.function(
            self._of_part, reduce_retracing=True, autograph=False
        )

    def parts(self, x):
        """Pairs of outputs `(batch, m)` and Jacobians `(batch, m, n)`.

        Args:
            x: Inputs: array, list or dict of arrays.
        """
        self._fit.refuse_moved()
        size = len(self._fit.values)
        at_once = max(1, _ENTRIES // (self._fit.outputs * size))
        x = keras.tree.map_structure(np.asarray, x)
        for start in range(0, len(keras.tree.flatten(x)[0]), at_once):
            rows = slice(start, start + at_once)
            part = keras.tree.map_structure(lambda a, r=rows: a[r], x)
            part = keras.tree.map_structure(tf.constant, part)
            mean, jacobian = self._compiled(part)
            yield mean.numpy().astype(float), jacobian.numpy().astype(float)

    def _of_part(self, x):
        def latent(x):
            outputs = self._model(x, training=False)
            return self._fit.likelihood.latent(outputs)

        mean, jacobians = per_sample_jacobian(latent, x, self._fit.variables)
        shape = (tf.shape(mean)[0], self._fit.outputs)
        flat = [
            tf.reshape(jacobian, (*shape, size))
            for jacobian, size in zip(jacobians, self._fit.sizes, strict=True)
        ]
        return mean, tf.concat(flat, 2)
