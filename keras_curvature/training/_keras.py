"""The private names of Keras models that this package stands on.

Protected members of `keras.optimizers.Optimizer` are used by its subclasses;
those of compiled losses are in `losses/compiled.py`.
tests/training/test_training_step.py says what broke when Keras moves them.
"""

import keras
import tensorflow as tf


def layers_of(model):
    """The model and all layers in it, at any depth."""
    return list(model._flatten_layers())


def call_in_training(model, inputs):
    """The outputs as Keras's own training step computes them."""
    if model._call_has_training_arg:
        return model(inputs, training=True)
    return model(inputs)


def track_loss(model, loss, inputs):
    """Adds the loss of a batch to the running mean that `fit` logs."""
    samples = tf.shape(keras.tree.flatten(inputs)[0])[0]
    model._loss_tracker.update_state(loss, sample_weight=samples)


def training_loss(model, x, y, y_pred, sample_weight):
    """The loss of a batch with regularizers."""
    return model._compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
    )
