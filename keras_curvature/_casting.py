"""Numbers in the dtype of a tensor."""

import tensorflow as tf


def cast(value, dtype):
    """The value as a tensor of `dtype`, with all digits of a Python float.

    `tf.cast(0.1, "float64")` rounds 0.1 to float32 on its way.
    """
    return tf.cast(tf.convert_to_tensor(value, dtype_hint=dtype), dtype)


def times(tensor, factor):
    """The product in the tensor's dtype; the tensor where the factor is 1."""
    if isinstance(factor, (int, float)) and factor == 1:
        return tensor
    return tensor * cast(factor, tensor.dtype)
