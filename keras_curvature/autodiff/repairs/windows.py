"""The windows that a pooling or a dilation slides over its input."""

import itertools

import tensorflow as tf

from keras_curvature.autodiff.repairs.operations import text_attribute


def offsets(sizes):
    """The positions in a window, in the order in which ties are broken."""
    return itertools.product(*map(range, sizes))


def slices(begin, strides, y):
    """What one position of every window covers, the shape of the output."""
    return tuple(
        slice(start, start + (_size(y, axis) - 1) * stride + 1, stride)
        for axis, (start, stride) in enumerate(zip(begin, strides, strict=True))
    )


def paddings(operation, x, y, sizes, strides):
    """The borders that the operation's padding adds to its input."""
    padding = text_attribute(operation, "padding")
    if padding == "VALID":
        return [[0, 0] for _ in sizes]
    if padding == "EXPLICIT":
        flat = list(operation.get_attr("explicit_paddings"))
        return [flat[i : i + 2] for i in range(0, len(flat), 2)]
    totals = [
        tf.maximum((_size(y, a) - 1) * stride + size - _size(x, a), 0)
        for a, (size, stride) in enumerate(zip(sizes, strides, strict=True))
    ]
    return [[total // 2, total - total // 2] for total in totals]


def _size(tensor, axis):
    size = tensor.shape[axis]
    return tf.shape(tensor)[axis] if size is None else size
