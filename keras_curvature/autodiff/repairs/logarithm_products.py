"""x·log y, x·log(1 + y) and x/y where x is zero.

TensorFlow defines their derivative by x as zero there, so that 0·log 0 does no
harm. Where y is not the pole of the logarithm, it is log y.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.operations import created_in, reduced_to
from keras_curvature.autodiff.tensorflow_private import (
    source_of_logarithm_product_gradient,
)

_BY_X = {
    "Xlogy": (tf.math.log, lambda y: y > 0),
    "Xlog1py": (tf.math.log1p, lambda y: y > -1),
    "Xdivy": (tf.math.reciprocal, lambda y: y != 0),
}


def logarithm_product(operation, *cotangents, registered):
    """Of Xlogy, Xlog1py and Xdivy(x, y)."""
    by_x, by_y = registered(operation, *cotangents)
    x, y = operation.inputs
    if not x.dtype.is_floating or by_x is None:
        return by_x, by_y
    derivative, is_regular = _BY_X[operation.type]
    is_left_out = tf.equal(x, 0) & is_regular(y)
    if _is_derivative_by_x(operation):
        # What a graph holds as the derivative by x: where it left x out, it
        # is taken for a constant. Nothing right is made of it.
        unknown = tf.where(is_left_out, float("nan"), 0.0)
        unknown = tf.math.multiply_no_nan(
            tf.cast(unknown, y.dtype), cotangents[0]
        )
        return by_x, by_y + reduced_to(unknown, x, y)[1]
    # Elsewhere 1, or the derivative at a pole would be NaN behind the mask.
    inside = tf.where(is_left_out, y, tf.ones_like(y))
    left_out = tf.where(
        is_left_out,
        cotangents[0] * derivative(inside),
        tf.zeros_like(cotangents[0]),
    )
    others = tf.where(is_left_out, tf.zeros_like(cotangents[0]), cotangents[0])
    by_x, _ = registered(operation, others)
    return by_x + reduced_to(left_out, x, y)[0], by_y


def _is_derivative_by_x(operation):
    """Whether a graph holds it as such: of 1 and y, 0 where x is zero."""
    return (
        isinstance(operation, tf.Operation)
        and operation.inputs[0].op.type == "Cast"
        and created_in(
            operation, *source_of_logarithm_product_gradient(operation.type)
        )
    )
