"""Whether targets are what a loss takes."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.losses import LossTerm
from keras_curvature.losses.compiled import compiled_losses, compiled_with
from keras_curvature.report._input import InputError, one_line


def refuse_other_targets(path, model, loss, data, batch_size):
    """Raises where targets or outputs are none that the loss takes.

    TensorFlow goes on with some of them, and what it then computes is
    something else.

    Args:
        path: Path of the data, for the error.
        model: `keras.Model`.
        loss: As in `compile`, or None for the compiled one.
        data: `Data`.
        batch_size: Int.
    """
    compiled = compiled_with(model, loss)
    for start in range(0, data.samples, batch_size):
        rows = slice(start, start + batch_size)
        x, y = (
            tf.nest.map_structure(lambda a, r=rows: tf.constant(a[r]), given)
            for given in (data.x, data.y)
        )
        outputs = _tried(path, "x", x, lambda x=x: model(x, training=False))
        if start == 0:
            # Zeros are targets of any loss, so that only shapes count.
            zeros = tf.nest.map_structure(tf.zeros_like, y)
            given = (compiled, zeros, outputs, None)
            _tried(path, "y", y, lambda g=given: compiled_losses(*g))
        for call in compiled_losses(compiled, y, outputs, None):
            _refuse(path, LossTerm(*call))


def _tried(path, name, given, function):
    """What a function returns, unless it does not take what it is given."""
    try:
        return function()
    except tf.errors.ResourceExhaustedError:
        raise
    except Exception as error:
        shapes = [_shape(array) for array in tf.nest.flatten(given)]
        taker = {"x": "model", "y": "loss"}[name]
        raise InputError(
            f"{path}: the {taker} does not take {name} of shape "
            f"{', '.join(shapes)} ({one_line(error, 160)})"
        ) from error


def _refuse(path, term):
    losses = keras.losses
    if term.function is losses.sparse_categorical_crossentropy:
        _refuse_labels(path, term)
    elif term.function in (
        losses.categorical_crossentropy,
        losses.binary_crossentropy,
    ):
        _refuse_shape(path, term)
        _refuse_outside(path, "y", term.target, term)
    elif term.function is not None:
        _refuse_shape(path, term)
        return
    else:
        # A loss of somebody's own, which may take anything.
        return
    if not term.from_logits:
        _refuse_outside(path, "the output", term.output, term)


def _refuse_labels(path, term):
    labels, classes = np.asarray(term.target), int(term.output.shape[-1])
    rows = tuple(term.output.shape[:-1])
    if labels.shape not in (rows, (*rows, 1)):
        raise InputError(
            f"{path}: y has shape {_shape(labels)}; the loss {term.name} takes "
            f"one label for each of the outputs of shape {_shape(term.output)}"
        )
    whole = labels == np.floor(labels)
    ignored = term.arguments.get("ignore_class")
    wrong = ~whole | (labels < 0) | (labels >= classes)
    if ignored is not None:
        wrong &= labels != ignored
    if wrong.any():
        raise InputError(
            f"{path}: labels in y must be whole numbers from 0 to "
            f"{classes - 1}, as the model has {classes} outputs; one of them "
            f"is {labels[wrong].flat[0]}"
        )


def _refuse_shape(path, term):
    target, output = tuple(term.target.shape), tuple(term.output.shape)
    alike = {target, (*target, 1)} & {output, (*output, 1)}
    if not alike:
        raise InputError(
            f"{path}: y has shape {_shape(term.target)}; the loss {term.name} "
            f"takes that of the output, {_shape(term.output)}"
        )


def _refuse_outside(path, name, tensor, term):
    values = np.asarray(tensor)
    low, high = float(values.min()), float(values.max())
    # Rounding may lead a softmax a little beyond 1.
    if low < 0 or high > 1 + 1e-5:
        way = (
            ""
            if name == "y"
            else "; if they are logits, give --loss and --from-logits"
        )
        raise InputError(
            f"{path}: {name} must be probabilities from 0 to 1 for the loss "
            f"{term.name}; there are numbers from {low:g} to {high:g}{way}"
        )


def _shape(tensor):
    rest = ", ".join(map(str, tuple(tensor.shape)[1:]))
    return f"(samples, {rest})" if rest else "(samples,)"
