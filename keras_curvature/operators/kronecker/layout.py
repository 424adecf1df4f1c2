"""The entries of a weight as the matrix of a linear map, or of several."""

import dataclasses
import math

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a layer reshapes and transposes a weight before it multiplies.

    At its end stands the shape `(groups, inputs, outputs)`: a matrix from
    inputs to outputs for each group, of which dense layers have one and
    depthwise convolutions one for each channel.

    Args:
        shape: Tuple, the shape of the weight.
        views: Tuple of `("reshape", shape)` and `("transpose", permutation)`,
            in the order in which they are applied.
    """

    shape: tuple
    views: tuple = ()

    @property
    def viewed_shape(self):
        """The shape after all views."""
        return self._shapes()[-1]

    def reshape(self, *shape):
        """This layout followed by a reshape."""
        return dataclasses.replace(
            self, views=(*self.views, ("reshape", tuple(shape)))
        )

    def transpose(self, *permutation):
        """This layout followed by a transposition."""
        return dataclasses.replace(
            self, views=(*self.views, ("transpose", tuple(permutation)))
        )

    def vector(self):
        """The layout of a weight that is one row, whatever its shape."""
        return self.reshape(1, 1, math.prod(self.shape))

    def to_matrix(self, tensor):
        """A tensor in the shape of the weight as `viewed_shape`."""
        for kind, value in self.views:
            if kind == "reshape":
                tensor = tf.reshape(tensor, value)
            else:
                tensor = tf.transpose(tensor, value)
        return tensor

    def from_matrix(self, matrix):
        """The inverse of `to_matrix`."""
        before = self._shapes()[:-1]
        for (kind, value), shape in zip(
            reversed(self.views), reversed(before), strict=True
        ):
            if kind == "reshape":
                matrix = tf.reshape(matrix, shape)
            else:
                matrix = tf.transpose(matrix, tf.math.invert_permutation(value))
        return matrix

    def _shapes(self):
        shapes = [tuple(self.shape)]
        for kind, value in self.views:
            if kind == "reshape":
                shapes.append(tuple(value))
            else:
                shapes.append(tuple(shapes[-1][axis] for axis in value))
        return shapes


@dataclasses.dataclass(frozen=True)
class Block:
    """The weights of one layer whose curvature is A ⊗ G.

    Args:
        kernel: Int, the index of the weight among the variables.
        layout: `Layout` of the weight, of shape `(groups, inputs, outputs)`.
        bias: Int, the index of the bias that is a further row of the matrix,
            whose input is 1, or None. Defaults to None.
        has_dense_inputs: Bool, whether A is a matrix; else its diagonal is
            kept. Defaults to True.
        has_dense_outputs: Bool, the same of G. Defaults to True.
        has_factors: Bool. Without them A is 1 and G the diagonal of the
            weight's curvature. Defaults to True.
    """

    kernel: int
    layout: Layout
    bias: int | None = None
    has_dense_inputs: bool = True
    has_dense_outputs: bool = True
    has_factors: bool = True

    @property
    def groups(self):
        return self.layout.viewed_shape[0]

    @property
    def inputs(self):
        """Rows of a group's matrix, the bias included."""
        return self.layout.viewed_shape[1] + (self.bias is not None)

    @property
    def outputs(self):
        return self.layout.viewed_shape[2]

    @property
    def indices(self):
        """The indices of the block's variables."""
        return [self.kernel] + ([] if self.bias is None else [self.bias])

    @property
    def input_shape(self):
        """The shape of A, or of its diagonal."""
        sides = 2 if self.has_dense_inputs else 1
        return (self.groups, *[self.inputs] * sides)

    @property
    def output_shape(self):
        """The shape of G, or of its diagonal."""
        sides = 2 if self.has_dense_outputs else 1
        return (self.groups, *[self.outputs] * sides)

    def join(self, tensors):
        """Tensors shaped as the variables, as `(groups, inputs, outputs)`."""
        matrix = self.layout.to_matrix(tensors[0])
        if self.bias is None:
            return matrix
        row = tf.reshape(tensors[1], (self.groups, 1, self.outputs))
        return tf.concat([matrix, row], axis=1)

    def split(self, matrix, bias_shape=None):
        """The inverse of `join`."""
        if self.bias is None:
            return [self.layout.from_matrix(matrix)]
        kernel = self.layout.from_matrix(matrix[:, :-1])
        return [kernel, tf.reshape(matrix[:, -1], bias_shape)]

    def renumbered(self, indices):
        """The block among more variables, at these indices of theirs."""
        bias = None if self.bias is None else indices[self.bias]
        return dataclasses.replace(self, kernel=indices[self.kernel], bias=bias)

    def to_json(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, config):
        layout = Layout(
            tuple(config["layout"]["shape"]),
            tuple((k, tuple(v)) for k, v in config["layout"]["views"]),
        )
        return cls(**{**config, "layout": layout})
