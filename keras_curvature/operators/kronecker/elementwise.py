"""Offsets and scales: biases without a kernel, normalizations."""

import math

import tensorflow as tf

from keras_curvature.operators.kronecker.layer_use import LayerUse

_SUMS = ("Add", "AddV2", "BiasAdd", "Sub")


class ElementwiseUse(LayerUse):
    """z = a ∘ w or a + w, the weight alike for the batch and for positions.

    A weight along one axis is one row of a matrix whose only input is 1, so
    that G is the curvature of this weight itself. One along more axes, such as
    a table of positions, is looked up row by row: the last axis makes the
    rows, and G is shared by them. A matrix of all its entries would have as
    many rows as the table has entries, and a batch has too few samples for it.

    A subclass gives the derivative by the weight as it is broadcast.
    """

    takes_bias = False

    def __init__(self, layout, output, weight_shape):
        self._own = [a for a, size in enumerate(weight_shape) if size != 1]
        width = weight_shape[self._own[-1]] if self._own else 1
        self._count = math.prod(weight_shape) // max(width, 1)
        super().__init__(layout.reshape(1, self._count, width), output)
        self.has_dense_inputs = self._count == 1

    @property
    def positions(self):
        # Others have the same input, and their derivatives add up.
        return self._count

    def inputs(self):
        return tf.ones((tf.shape(self.output)[0], 1, 1, 1), self.output.dtype)

    def indices(self):
        """Which row each position adds or multiplies: each one once."""
        shape = (tf.shape(self.output)[0], self._count)
        return tf.broadcast_to(tf.range(self._count), shape)

    def signals(self, cotangent):
        derivative = self._derivative(cotangent)
        rank = derivative.shape.rank
        others = [axis for axis in range(1, rank) if axis not in self._own]
        batch, width = tf.shape(derivative)[0], self.layout.viewed_shape[2]
        if not self.has_dense_inputs:
            derivative = tf.reduce_sum(derivative, axis=others)
            return tf.reshape(derivative, (batch, self._count, 1, width))
        derivative = tf.transpose(derivative, [0, *others, *self._own])
        return tf.reshape(derivative, (batch, -1, 1, width))

    def _derivative(self, cotangent):
        raise NotImplementedError


class Offset(ElementwiseUse):
    """z = a + w."""

    @classmethod
    def match(cls, use, forward):
        operation = use.operation
        shape = use.layout.viewed_shape
        if is_bias_add(operation, b"NCHW"):
            shape = (*shape, *[1] * (operation.outputs[0].shape.rank - 2))
        while operation is not None and is_sum(operation):
            output = operation.outputs[0]
            aligned = aligned_shape(shape, output)
            if aligned is not None:
                return cls(use.layout, output, aligned)
            # Such as β − μ·γ/σ, of which all samples have the same.
            operation = forward.only_consumer(output)
        return None

    def _derivative(self, cotangent):
        return cotangent


def is_sum(operation):
    """Whether an operation adds or subtracts two tensors."""
    return operation.type in _SUMS


def is_bias_add(operation, data_format):
    """Whether an operation is `BiasAdd` to this place of the channels."""
    return (
        operation.type == "BiasAdd"
        and operation.get_attr("data_format") == data_format
    )


class Scale(ElementwiseUse):
    """z = a ∘ w."""

    def __init__(self, layout, output, weight_shape, factor):
        super().__init__(layout, output, weight_shape)
        self._factor = factor

    @classmethod
    def match(cls, use, forward):
        operation = use.operation
        if operation.type != "Mul":
            return None
        output = operation.outputs[0]
        factor = operation.inputs[1 - use.position]
        aligned = aligned_shape(use.layout.viewed_shape, output)
        if aligned is None:
            return None
        return cls(use.layout, output, aligned, factor)

    def _derivative(self, cotangent):
        return cotangent * self._factor


def aligned_shape(weight_shape, output):
    """The weight's shape with leading 1s, if the first axis is the batch's.

    None where the output has no axis for the samples.
    """
    rank = output.shape.rank
    if rank is None or rank < len(weight_shape):
        return None
    aligned = (*[1] * (rank - len(weight_shape)), *weight_shape)
    sizes = output.shape
    if not aligned or aligned[0] != 1 or sizes[0] == 1:
        return None
    for size, own in zip(sizes, aligned, strict=True):
        if own not in (1, size):
            return None
    return aligned
