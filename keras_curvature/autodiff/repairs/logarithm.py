"""The logarithm of an empty sum, behind a mask.

Keras's Circle loss takes a logsumexp over the partners of each sample. Over
none it is log 0 = −∞, and its gradient 0·∞ is removed by the mask that left
the partners out. Differentiated again, NaN would pass beside that mask. In the
derivative of the gradient g/x, 0·∞ is therefore 0.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.operations import created_in
from keras_curvature.autodiff.repairs.two_pieces import without_slope_at_zero
from keras_curvature.autodiff.tensorflow_private import (
    is_recorded,
    source_of_log_gradient,
    with_tape_gradient,
)


def log(operation, cotangent, registered):
    """Of Log(x), so that a tape can differentiate g/x."""
    x = operation.inputs[0]
    is_differentiated_by_tape = (
        is_recorded()
        and x.dtype.is_floating
        and not isinstance(operation, tf.Operation)
    )
    if not is_differentiated_by_tape:
        return registered(operation, cotangent)

    def derivative(outer):
        inverse = tf.math.reciprocal(x)
        by_x = -inverse * tf.math.multiply_no_nan(inverse, cotangent)
        return (
            tf.math.multiply_no_nan(inverse, outer),
            tf.math.multiply_no_nan(by_x, outer),
        )

    return with_tape_gradient(
        lambda cotangent, _: registered(operation, cotangent),
        [cotangent, x],
        derivative,
    )


def multiply(operation, cotangent, registered):
    """Of Mul(g, Reciprocal(x)) and Mul(g, Sign(x)).

    A graph holds them as the gradients of Log and of Abs.
    """
    by_x, by_y = registered(operation, cotangent)
    if isinstance(operation, tf.Operation):
        inverse = operation.inputs[1]
        is_real_inverse = (
            inverse.op.type == "Reciprocal" and inverse.dtype.is_floating
        )
        if is_real_inverse and created_in(operation, *source_of_log_gradient()):
            by_x = tf.math.multiply_no_nan(inverse, cotangent)
        else:
            by_x = without_slope_at_zero(operation, cotangent, by_x)
    return by_x, by_y
