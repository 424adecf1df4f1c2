"""The arguments with which each layer of a model is called."""

import contextlib
import dataclasses

import keras
import tensorflow as tf


@dataclasses.dataclass
class RecordedCall:
    """The first call of a layer."""

    layer: keras.Layer
    arguments: tuple
    keywords: dict


@contextlib.contextmanager
def recorded_calls(model):
    """Within it, the first eager call of each layer is kept, in order."""
    records = {}
    with contextlib.ExitStack() as restore:
        for layer in _layers_within(model):
            _record(layer, records)
            restore.callback(layer.__dict__.pop, "call")
        yield records


def _layers_within(model):
    return [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if "call" not in layer.__dict__
        and not isinstance(layer, keras.layers.InputLayer)
    ]


def _record(layer, records):
    original = layer.call

    def call(*arguments, **keywords):
        tensors = [
            t
            for t in tf.nest.flatten((arguments, keywords))
            if isinstance(t, tf.Tensor)
        ]
        if not any(map(tf.is_symbolic_tensor, tensors)):
            record = RecordedCall(layer, arguments, keywords)
            records.setdefault(id(layer), record)
        return original(*arguments, **keywords)

    # Keras tracks what is assigned to a layer; this is not for it.
    layer.__dict__["call"] = call


def innermost(layers):
    """Those layers that contain none of the others."""
    chosen = {id(layer) for layer in layers}
    return [
        layer
        for layer in layers
        if not any(
            id(inner) in chosen
            for inner in layer._flatten_layers(
                include_self=False, recursive=True
            )
        )
    ]


def name_of(layer):
    """The layer's path within the model, or its name."""
    return layer.path or layer.name


def all_variables(model):
    """The variables of a model, and the states of its stateful layers."""
    states = [
        state
        for layer in model._flatten_layers(include_self=False, recursive=True)
        for state in tf.nest.flatten(getattr(layer, "states", None) or [])
        if isinstance(state, keras.Variable)
    ]
    return [*model.variables, *states]
