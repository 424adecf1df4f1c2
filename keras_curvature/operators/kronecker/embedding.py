"""Rows that are looked up: Embedding."""

import tensorflow as tf

from keras_curvature.operators.kronecker.layer_use import LayerUse


class Lookup(LayerUse):
    """z = W[indices]: a product whose inputs are unit vectors.

    A is diagonal: how often each row is looked up.
    """

    has_dense_inputs = False
    takes_bias = False

    def __init__(self, layout, output, indices):
        super().__init__(layout, output)
        self._indices = indices

    @classmethod
    def match(cls, use, forward):
        operation = use.operation
        shape = use.layout.viewed_shape
        if use.position or len(shape) != 2 or not looks_up_rows(operation):
            return None
        indices = operation.inputs[1]
        if indices.shape.rank in (None, 0):
            return None
        return cls(use.layout.reshape(1, *shape), operation.outputs[0], indices)

    def indices(self):
        """Which row each position looks up, `(batch, positions)`."""
        batch = tf.shape(self._indices)[0]
        return tf.reshape(self._indices, (batch, -1))

    def signals(self, cotangent):
        batch = tf.shape(self._indices)[0]
        return tf.reshape(cotangent, (batch, -1, 1, self.output.shape[-1]))


def looks_up_rows(operation):
    """Whether an operation takes rows of its first input by their numbers."""
    if operation.type == "GatherV2":
        axis = tf.get_static_value(operation.inputs[2])
        return axis == 0 and not operation.get_attr("batch_dims")
    return operation.type == "ResourceGather"
