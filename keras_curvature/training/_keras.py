"""The private names of Keras models that this package stands on.

Protected members of `keras.optimizers.Optimizer` are used by its subclasses;
those of compiled losses are in `losses/compiled.py`.
tests/training/test_training_step.py says what broke when Keras moves them.
"""

import keras


def layers_of(model):
    """The model and all layers in it, at any depth."""
    return list(model._flatten_layers())


def is_built(model):
    """Whether the weights of all layers exist."""
    return all(layer.built for layer in layers_of(model))


def call_in_training(model, inputs):
    """The outputs as Keras's own training step computes them."""
    if model._call_has_training_arg:
        return model(inputs, training=True)
    return model(inputs)


def track_loss(model, loss, inputs):
    """Adds the loss of a batch to the running mean that `fit` logs."""
    samples = keras.ops.shape(keras.tree.flatten(inputs)[0])[0]
    model._loss_tracker.update_state(loss, sample_weight=samples)


def build_with(model, data):
    """Creates all variables of a compiled model and its optimizer.

    By one pass over the data, where they would come to be while a step is
    traced, which is then traced twice.

    Args:
        model: Compiled model.
        data: `(x, y, sample_weight)` of tensors.
    """
    parts = (model, model._compile_loss, model._compile_metrics)
    if not all(part is None or part.built for part in parts):
        x, y, sample_weight = data
        y_pred = model(x)
        model.compute_loss(x, y, y_pred, sample_weight, training=False)
        model.compute_metrics(x, y, y_pred, sample_weight)
        model.reset_metrics()
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def compiled_state(model):
    """What a traced training step holds of a model: other after compile()."""
    return [
        model.optimizer,
        model._compile_loss,
        model._compile_metrics,
        model.jit_compile,
        model.run_eagerly,
        *model.trainable_variables,
    ]


def training_loss(model, x, y, y_pred, sample_weight):
    """The loss of a batch with regularizers."""
    return model._compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
    )
