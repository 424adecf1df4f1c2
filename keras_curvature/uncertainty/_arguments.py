"""What the arguments of `Laplace` stand for."""

import numbers

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_flag, checked_number


def layers_of(model, weights):
    """The patterns of `weights`, as operators take them."""
    if isinstance(weights, str) and weights == "all":
        return None
    if isinstance(weights, str) and weights == "last_layer":
        layers = [layer for layer in model.layers if layer.trainable_weights]
        if not layers:
            raise ValueError(
                "weights='last_layer' needs a layer with trainable weights. "
                f"Received: {model.name} without any."
            )
        return [v.path for v in layers[-1].trainable_weights]
    return weights


def precision_of(value, variables):
    """The prior precision as an array, one number for each variable."""
    if isinstance(value, numbers.Real):
        value = [value] * len(variables)
    value = list(value) if np.ndim(value) == 1 else [value]
    if len(value) != len(variables) or value == [None]:
        raise ValueError(
            "`prior_precision` must be a number, or a list of one for each "
            f"of the {len(variables)} variables. Received: {value}."
        )
    return np.array(
        [checked_number("prior_precision", float(v), above=0) for v in value]
    )


def groups_of(variables, per_layer):
    """For each variable the number of the group whose precision it has."""
    if not checked_flag("per_layer", per_layer):
        return np.zeros(len(variables), int)
    names = [v.path.rpartition("/")[0] for v in variables]
    return np.array([sorted(set(names)).index(name) for name in names])


def refuse_sample_weights(x):
    """Raises for a data set that yields sample weights."""
    size = 0
    if isinstance(x, tf.data.Dataset) and isinstance(x.element_spec, tuple):
        size = len(x.element_spec)
    elif isinstance(x, keras.utils.PyDataset) and isinstance(x[0], tuple):
        size = len(x[0])
    if size > 2:
        raise ValueError(
            "A Laplace posterior is that of targets which count alike. "
            "Received: a data set with sample weights. Leave them out, and "
            "repeat samples that count more."
        )


def refuse_other_targets(y, operator):
    """Raises for targets that Keras would repeat to the shape of the outputs.

    Args:
        y: Array of targets that are compared with outputs one by one, or None
            for data sets.
        operator: Of a model with one output.
    """
    (expected,) = operator.output_shapes
    received = np.shape(y)[1:]
    # Keras adds an axis of one output where it is missing.
    if y is None or received in (expected, (*expected, 1)):
        return
    if expected[-1:] != (1,) or received != expected[:-1]:
        raise ValueError(
            "`y` must have a target for each output, of shape "
            f"{('samples', *expected)}. Received: shape {np.shape(y)}."
        )


def refuse_other_shapes(model, x):
    """Raises for inputs of other shapes than those the model was fitted to."""
    expected = [tuple(t.shape) for t in getattr(model, "inputs", None) or ()]
    received = [np.shape(a) for a in keras.tree.flatten(x)]
    if not expected or (
        len(expected) == len(received) and all(map(_fits, received, expected))
    ):
        return
    raise ValueError(
        f"`x` must have the shapes that it had at fit(): {expected}, with "
        f"None for the samples. Received: {received}."
    )


def _fits(shape, expected):
    # Keras adds an axis of one feature where it is missing.
    if len(shape) == len(expected) - 1 and expected[-1] == 1:
        shape = (*shape, 1)
    return len(shape) == len(expected) and all(
        size in (None, own) for own, size in zip(shape, expected, strict=True)
    )
