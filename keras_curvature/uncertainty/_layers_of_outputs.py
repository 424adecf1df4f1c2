"""Jacobians of outputs as products, layer by layer."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.operators.kronecker.layer_jacobians import (
    LayerJacobians,
    UnknownUse,
)
from keras_curvature.uncertainty._rows import LayerRows


class LayersOfOutputs:
    """Outputs with their Jacobians as `LayerRows`.

    Args:
        outputs_fn: Callable that maps inputs to outputs `(batch, m)`.
        variables: List of the variables.
    """

    def __init__(self, outputs_fn, variables):
        self._outputs_fn = outputs_fn
        self._variables = variables
        self._functions = {}

    def entries(self, x):
        """The numbers that a sample takes.

        Args:
            x: Inputs, a structure of tensors of shape `(batch, ...)`.

        Raises:
            UnknownUse: if the Jacobian has no such form.
        """
        return self._traced(x).entries

    def rows(self, x):
        """Outputs `(batch, m)` and their `LayerRows`.

        Args:
            x: As for `entries`.

        Raises:
            UnknownUse: as `entries`, or where samples depend on each other.
        """
        traced = self._traced(x)
        outputs, difference, inputs, signals = traced.call(x)
        rounding = np.finfo(outputs.dtype.as_numpy_dtype).eps ** 0.5
        if not float(difference) <= rounding:
            raise UnknownUse
        layers = []
        for places, block, a, g in zip(
            traced.places, traced.blocks, inputs, signals, strict=True
        ):
            layers += _kernel_and_bias(
                block, places, a.numpy().astype(float), g.numpy().astype(float)
            )
        size = sum(int(np.prod(v.shape)) for v in self._variables)
        return outputs.numpy().astype(float), LayerRows(layers, size)

    def _traced(self, x):
        flat = keras.tree.flatten(x)
        key = tuple((tuple(t.shape[1:]), t.dtype) for t in flat)
        if key not in self._functions:
            self._functions[key] = _Traced(self._outputs_fn, self._variables, x)
        return self._functions[key]


class _Traced:
    """The function of batches of one kind, and what is known of its layers.

    Attributes:
        blocks: List of `Block`s.
        entries: Int, the numbers that a sample takes.
        places: For each block, where its weights stand among all.
    """

    def __init__(self, outputs_fn, variables, x):
        self._outputs_fn = outputs_fn
        self._variables = variables
        spec = keras.tree.map_structure(
            lambda t: tf.TensorSpec((None, *t.shape[1:]), t.dtype), x
        )
        self.call = tf.function(
            self._call, input_signature=[spec], autograph=False
        )
        self.call.get_concrete_function()
        self.places = _places(self.blocks, variables)

    def _call(self, x):
        outputs = self._outputs_fn(x)
        layers = LayerJacobians([outputs], self._variables)
        width = outputs.shape[1]
        self.blocks, self.entries = layers.blocks, layers.entries(width)
        inputs = layers.inputs()

        def of_output(number):
            unit = tf.one_hot(number, width, dtype=outputs.dtype)
            cotangent = tf.broadcast_to(unit, tf.shape(outputs))
            return layers.signals([cotangent])

        signals = tf.map_fn(
            of_output,
            tf.range(width),
            fn_output_signature=[
                tf.TensorSpec((None, a.shape[1], b.groups, b.outputs), a.dtype)
                for a, b in zip(inputs, layers.blocks, strict=True)
            ],
            parallel_iterations=1,
        )
        # The samples before the outputs.
        signals = [tf.transpose(s, (1, 0, 2, 3, 4)) for s in signals]
        return outputs, layers.disagreement(), inputs, signals


def _places(blocks, variables):
    sizes = [int(np.prod(v.shape)) for v in variables]
    starts = np.cumsum([0, *sizes])
    numbers = [
        tf.reshape(tf.range(start, start + size), v.shape)
        for start, size, v in zip(starts, sizes, variables, strict=False)
    ]
    return [
        block.join([numbers[i] for i in block.indices]).numpy()
        for block in blocks
    ]


def _kernel_and_bias(block, places, a, g):
    """`LayerRows` of the kernel and of its bias."""
    if block.bias is None:
        return [(places, a, g)]
    # The input of a bias is 1 at each position.
    total = g.sum(2, keepdims=True)
    return [
        (places[:, :-1], a[..., :-1], g),
        (places[:, -1:], np.ones_like(a[:, :1, :, -1:]), total),
    ]
