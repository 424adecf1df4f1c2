"""The gradients of the gradients of `tf.nn.dilation2d`, which TensorFlow lacks.

y = max over the window of x + filter, so that the gradient by x and that by
the filter are the cotangent placed at the maximum, and the derivative of
either is the value found there.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.windows import (
    offsets,
    paddings,
    slices,
)


def dilation_input_grad(operation, cotangent):
    """Of Dilation2DBackpropInput(x, filter, gradient)."""
    x, filters, _ = operation.inputs
    picked = _at_maximum(
        operation, lambda padded, here, begin: padded[here], cotangent
    )
    return tf.zeros_like(x), tf.zeros_like(filters), picked


def dilation_filter_grad(operation, cotangent):
    """Of Dilation2DBackpropFilter(x, filter, gradient)."""
    x, filters, _ = operation.inputs
    picked = _at_maximum(
        operation,
        lambda padded, here, begin: cotangent[begin[0], begin[1]],
        tf.zeros_like(x),
    )
    return tf.zeros_like(x), tf.zeros_like(filters), picked


def _at_maximum(operation, value, cotangent):
    """`value` at the first maximum of x + filter of each window."""
    x, filters, gradient = operation.inputs
    strides, rates = map(operation.get_attr, ("strides", "rates"))
    extents = [
        (size - 1) * rate + 1
        for size, rate in zip([1, *filters.shape[:2], 1], rates, strict=True)
    ]
    borders = paddings(operation, x, gradient, extents, strides)
    x = tf.pad(x, borders, constant_values=x.dtype.min)
    cotangent = tf.pad(cotangent, borders)
    best = tf.fill(tf.shape(gradient), x.dtype.min)
    picked = tf.zeros_like(gradient)
    for begin in offsets(filters.shape[:2]):
        row, column = (b * r for b, r in zip(begin, rates[1:3], strict=True))
        here = slices((0, row, column, 0), strides, gradient)
        candidate = x[here] + filters[begin[0], begin[1]]
        is_larger = candidate > best
        best = tf.where(is_larger, candidate, best)
        picked = tf.where(is_larger, value(cotangent, here, begin), picked)
    return picked
