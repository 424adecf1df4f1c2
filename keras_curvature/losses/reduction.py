"""How Keras reduces the losses of samples to one number."""

import functools

import keras
import tensorflow as tf


def derivative_of_reduction(loss, losses, sample_weight):
    """∂(reduced loss) / ∂(loss of each sample), in the shape of the losses.

    Args:
        loss: A `keras.losses.Loss`.
        losses: Tensor, what its `call` returned, with its Keras mask.
        sample_weight: Tensor or None.
    """
    values = tf.stop_gradient(losses)
    keep_masks([losses], values)
    reduction = _Reduction(loss)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = reduction(values, values, sample_weight)
    return tape.gradient(total, values)


class _Reduction(keras.losses.Loss):
    """The reduction of another loss, applied to given values."""

    def __init__(self, loss):
        super().__init__(
            name=loss.name, reduction=loss.reduction, dtype=loss.dtype
        )

    def call(self, y_true, y_pred):
        return y_pred


def keep_masks(sources, tensor):
    """Gives `tensor` the Keras masks of all sources."""
    masks = [getattr(source, "_keras_mask", None) for source in sources]
    masks = [mask for mask in masks if mask is not None]
    if masks:
        tensor._keras_mask = functools.reduce(tf.logical_and, masks)
