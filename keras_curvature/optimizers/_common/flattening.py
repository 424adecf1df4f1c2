"""All variables of an optimizer as one vector."""

import math

import keras
import tensorflow as tf


class Flattening:
    """Concatenates tensors with the shapes of the variables, and back.

    Args:
        variables: List of `keras.Variable`s or `tf.Variable`s.
    """

    def __init__(self, variables):
        self._shapes = [tuple(v.shape) for v in variables]
        self._dtypes = [
            keras.backend.standardize_dtype(v.dtype) for v in variables
        ]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self.size = sum(self._sizes)
        self.dtype = tf.as_dtype(keras.backend.result_type(*self._dtypes))
        # Whether the vector holds only what the variables can hold.
        self.is_uniform = set(self._dtypes) == {self.dtype.name}

    def flatten(self, tensors):
        """One vector of shape (size,); None stands for zeros."""
        return tf.concat(
            [
                tf.zeros([size], self.dtype)
                if tensor is None
                else _reshaped(
                    tf.cast(tf.convert_to_tensor(tensor), self.dtype), (size,)
                )
                for tensor, size in zip(tensors, self._sizes, strict=True)
            ],
            axis=0,
        )

    def split(self, vector):
        """List of the parts of a vector, each flat still."""
        return tf.split(vector, self._sizes)

    def unflatten(self, vector):
        """List of tensors with the shapes and dtypes of the variables."""
        return [
            tf.cast(_reshaped(part, shape), dtype)
            for part, shape, dtype in zip(
                self.split(vector),
                self._shapes,
                self._dtypes,
                strict=True,
            )
        ]


def _reshaped(tensor, shape):
    """The tensor in that shape, itself where it has it."""
    return tensor if tensor.shape == shape else tf.reshape(tensor, shape)
