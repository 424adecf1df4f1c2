"""Vectors of all weights, and lists of tensors shaped as the weights."""

import itertools
import math

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.variables import as_tf_variable, checked_vectors


class FlatVectors:
    """Turns lists of tensors into vectors and back.

    Args:
        variables: List of variables.

    Attributes:
        size: Int, n.
        dtype: The widest dtype of the variables.
    """

    def __init__(self, variables):
        if not variables:
            raise ValueError(
                "`variables` must hold at least one variable. Received: none. "
                "Build the model, and look for layers with trainable=False."
            )
        self._variables = [as_tf_variable(v) for v in variables]
        self._sizes = [math.prod(v.shape) for v in self._variables]
        self._starts = [0, *itertools.accumulate(self._sizes)]
        self.size = sum(self._sizes)
        self.dtype = max((v.dtype for v in self._variables), key=_width)

    def flatten(self, tensors):
        """One vector of shape (n,); None counts for zeros."""
        tensors = checked_vectors(tensors, self._variables)
        return tf.concat(
            [
                tf.zeros(size, self.dtype)
                if tensor is None
                else tf.reshape(tf.cast(tensor, self.dtype), (-1,))
                for tensor, size in zip(tensors, self._sizes, strict=True)
            ],
            0,
        )

    def unflatten(self, vector):
        """Tensors with the shapes and dtypes of the variables."""
        # A slice that begins at a multiple of 64 bytes is no copy.
        return [
            tf.cast(tf.reshape(vector[start:end], v.shape), v.dtype)
            for (start, end), v in zip(
                itertools.pairwise(self._starts), self._variables, strict=True
            )
        ]

    def positions(self, indices):
        """Where the entries of some of the variables lie in a vector."""
        return np.concatenate(
            [np.arange(self._starts[k], self._starts[k + 1]) for k in indices]
        )

    def checked(self, other):
        """A vector or matrix with n rows, in the dtype of the operator."""
        return checked_matrix(
            other, self.size, (self.size, self.size), self.dtype
        )


def checked_matrix(other, size, shape, dtype):
    """What an operator of that shape multiplies, as a tensor of that dtype.

    Args:
        other: Tensor of shape (size,) or (size, k).
        size: Int, the columns of the operator.
        shape: Tuple of ints, of the operator.
        dtype: `tf.DType`.
    """
    hint = None if hasattr(other, "dtype") else dtype
    tensor = tf.convert_to_tensor(other, dtype_hint=hint)
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise ValueError(
            "An operator multiplies real numbers. Received: a tensor of "
            f"dtype {tensor.dtype.name}."
        )
    rank = tensor.shape.rank
    if rank not in (1, 2) or tensor.shape[0] not in (None, size):
        raise ValueError(
            f"An operator of shape {shape} multiplies tensors of shape "
            f"({size},) or ({size}, k), and lists of tensors shaped as its "
            f"variables. Received: a tensor of shape {tuple(tensor.shape)}."
        )
    return tf.cast(tensor, dtype)


def _width(dtype):
    return np.finfo(dtype.as_numpy_dtype).bits
