"""The only functions of this package that use private Keras names.

Keras resolves `compile(loss=...)` against the outputs when the loss is first
computed (names, nested structures, `"crossentropy"`), and keeps what it found
to itself. tests/training/test_training_step.py says what broke when Keras
moves it.
"""

import keras
import tensorflow as tf


def compiled_losses(model):
    """`(path of the output, keras.losses.Loss, loss weight)` of each loss."""
    compiled = model._compile_loss
    if compiled is None:
        return []
    return [
        (term.path, term.loss, term.loss_weights)
        for term in compiled._flat_losses
    ]


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
    """The loss of a batch with regularisers."""
    return model._compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
    )
