"""What a Kronecker factor must know of one use of a layer's weight."""

import math

import tensorflow as tf

from keras_curvature.operators.kronecker.samples import may_hold_samples


class LayerUse:
    """The inputs of a linear map and the signals that come back to it.

    A subclass for each kind of layer, made from a `WeightUse` by
    `match(use, forward)`, which returns None for a use of another kind.

    Attributes:
        layout: `Layout` of the weight as `(groups, inputs, outputs)`.
        output: Tensor of the graph whose cotangent `signals` is given.
        following: Tensor at which a bias would be added.
        has_dense_inputs: Bool, whether `inputs` are rows of numbers; if not,
            `indices` gives for each row the input that is 1.
    """

    has_dense_inputs = True
    takes_bias = True

    def __init__(self, layout, output):
        self.layout = layout
        self.output = output
        self.following = output

    @classmethod
    def match(cls, use, forward):
        raise NotImplementedError

    def has_samples(self):
        """Whether the first axis of the output may be that of the samples."""
        return may_hold_samples(self.output)

    @property
    def positions(self):
        """How many positions of a sample share the weight, None if unknown."""
        shape = self.output.shape
        if shape.rank is None or None in shape[1:]:
            return None
        groups, _, outputs = self.layout.viewed_shape
        return math.prod(shape[1:]) // (groups * outputs)

    def inputs(self):
        """The inputs, of shape `(batch, positions, groups, inputs)`."""
        raise NotImplementedError

    def signals(self, cotangent):
        """∂/∂(outputs of the map), `(batch, positions, groups, outputs)`."""
        raise NotImplementedError


def as_rows(tensor, batch, positions, groups):
    """A tensor as `(batch, positions, groups, entries of each group)`."""
    entries = tensor.shape[-1] // groups
    return tf.reshape(tensor, (batch, positions, groups, entries))
