"""Gradients of the losses of single samples."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.per_sample import per_sample_jacobian
from keras_curvature.uncertainty._parts import in_parts

# The entries of gradients that are held at once.
_ENTRIES = 2**24


def sample_gradients(model, loss, x, y, variables):
    """Arrays of shape `(part, n)`, part by part of the samples.

    Args:
        model: `keras.Model`.
        loss: `keras.losses.Loss`; its reduction is left out.
        x: Inputs: array, list or dict of arrays.
        y: Targets, array.
        variables: List of variables with n entries.
    """
    _refuse_other_lengths(x, y)
    size = sum(int(np.prod(v.shape)) for v in variables)
    at_once = max(1, _ENTRIES // size)
    alone = type(loss).from_config({**loss.get_config(), "reduction": "none"})

    def losses(batch):
        x, y = batch
        # Targets of shape (batch,) are those of one output.
        return tf.reshape(alone(y, model(x, training=False)), (-1, 1))

    @tf.function(reduce_retracing=True, autograph=False)
    def gradients(batch):
        _, rows = per_sample_jacobian(losses, batch, variables)
        rows = [tf.reshape(r, (tf.shape(r)[0], -1)) for r in rows]
        return tf.concat([tf.cast(r, rows[0].dtype) for r in rows], 1)

    for part in in_parts((x, y), at_once):
        yield gradients(part).numpy().astype(float)


def _refuse_other_lengths(x, y):
    lengths = {np.shape(array)[:1] for array in keras.tree.flatten((x, y))}
    if len(lengths) > 1 or lengths & {(), (0,)}:
        raise ValueError(
            "Inputs and targets must be arrays with a row for each sample, one "
            "or more. Received: arrays whose first axes are "
            f"{sorted(lengths)}, where () is no array."
        )
