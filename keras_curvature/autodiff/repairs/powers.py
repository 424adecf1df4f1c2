"""Powers xʸ whose exponent is 0, or becomes 0 when they are differentiated.

The derivative y·xʸ⁻¹ is 0·∞ where y and x are 0, and that of an x¹ where x is
0, one order later. The power x⁰ does not depend on x, so that any other base
gives the derivative.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.operations import reduced_to


def power(operation, cotangent, registered):
    """Of Pow(x, y)."""
    x, y = operation.inputs
    exponents = tf.get_static_value(y)
    if exponents is not None and (exponents != 0).all():
        return registered(operation, cotangent)
    skipped = getattr(operation, "skip_input_indices", None) or ()
    by_x = by_y = None
    if 0 not in skipped:
        is_constant = tf.equal(x, 0) & tf.equal(y, 0)
        base = tf.where(is_constant, tf.ones_like(x), x)
        by_x, _ = registered(
            _Power([base, y], operation.outputs, skip=1), cotangent
        )
        by_x = reduced_to(by_x, x, y)[0]
    if 1 not in skipped:
        _, by_y = registered(
            _Power([x, y], operation.outputs, skip=0), cotangent
        )
    return by_x, by_y


class _Power:
    """What the gradient function of a Pow asks of it."""

    type = "Pow"

    def __init__(self, inputs, outputs, skip):
        self.inputs = inputs
        self.outputs = outputs
        self.skip_input_indices = (skip,)
