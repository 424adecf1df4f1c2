"""Max pooling, whose second derivative picks wrong elements.

It is MaxPoolGradGrad, the cotangent at the maximum of each window.

- On a CPU its kernel may write into the buffer of the cotangent that it still
  reads, when both have the size of the output: stride 1 with padding "same".
- XLA packs value and position in one word and takes a wrong element where two
  values of a window nearly tie; it has no float64.

In both cases the maximum is found by comparison instead.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.windows import (
    offsets,
    paddings,
    slices,
)
from keras_curvature.autodiff.tensorflow_private import in_xla_context


def max_pool_grad(operation, cotangent, registered):
    """Of MaxPoolGrad(x, y, gradient), in two and three dimensions."""
    x, y, _ = operation.inputs
    if not is_wrong_by_kernel(operation):
        return registered(operation, cotangent)
    picked = _at_first_maximum(operation, x, y, cotangent)
    return tf.zeros_like(x), tf.zeros_like(y), picked


def is_wrong_by_kernel(operation):
    """Whether the kernel of its derivative may pick wrong elements."""
    x, y, _ = operation.inputs
    return in_xla_context() or not _is_smaller(y, x)


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
    borders = paddings(operation, x, y, sizes, strides)
    x = tf.pad(x, borders, constant_values=x.dtype.min)
    cotangent = tf.pad(cotangent, borders)
    picked, searching = tf.zeros_like(y), tf.ones_like(y, tf.bool)
    for begin in offsets(sizes):
        here = slices(begin, strides, y)
        is_first = tf.logical_and(tf.equal(x[here], y), searching)
        picked = tf.where(is_first, cotangent[here], picked)
        searching = tf.logical_and(searching, tf.logical_not(is_first))
    return picked
