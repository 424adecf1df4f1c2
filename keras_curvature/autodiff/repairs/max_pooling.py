"""Max pooling, whose second derivative picks wrong elements.

It is MaxPoolGradGrad, the cotangent at the maximum of each window.

- On a CPU its kernel may write into the buffer of the cotangent that it still
  reads, when both have the size of the output: stride 1 with padding "same".
- XLA packs value and position in one word and takes a wrong element where two
  values of a window nearly tie; it has no float64.

In both cases the maximum is found by comparison instead.
"""

import itertools

import tensorflow as tf

from keras_curvature.autodiff._tensorflow import in_xla_context
from keras_curvature.autodiff.repairs._base import text_attribute


def max_pool_grad(operation, cotangent, registered):
    """Of MaxPoolGrad(x, y, gradient), in two and three dimensions."""
    x, y, _ = operation.inputs
    if not in_xla_context() and _is_smaller(y, x):
        return registered(operation, cotangent)
    picked = _at_first_maximum(operation, x, y, cotangent)
    return tf.zeros_like(x), tf.zeros_like(y), picked


def _is_smaller(y, x):
    """Whether the output is known to have fewer elements than the input."""
    return any(
        m is not None and n is not None and m < n
        for m, n in zip(y.shape, x.shape, strict=True)
    )


def _at_first_maximum(operation, x, y, cotangent):
    """The cotangent at the first maximum of each window.

    XLA's own first gradient breaks ties in the same way.
    """
    sizes = list(operation.get_attr("ksize"))
    strides = list(operation.get_attr("strides"))
    paddings = _paddings(operation, x, y, sizes, strides)
    x = tf.pad(x, paddings, constant_values=x.dtype.min)
    cotangent = tf.pad(cotangent, paddings)
    picked = tf.zeros_like(y)
    open_ = tf.ones_like(y, tf.bool)
    for offsets in itertools.product(*map(range, sizes)):
        here = [
            slice(begin, begin + (_size(y, axis) - 1) * stride + 1, stride)
            for axis, (begin, stride) in enumerate(
                zip(offsets, strides, strict=True)
            )
        ]
        is_first = tf.logical_and(tf.equal(x[tuple(here)], y), open_)
        picked = tf.where(is_first, cotangent[tuple(here)], picked)
        open_ = tf.logical_and(open_, tf.logical_not(is_first))
    return picked


def _paddings(operation, x, y, sizes, strides):
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
