"""Functions whose derivative is a formula of 0/0 at one point.

There TensorFlow takes the limit for a constant, which has no derivative, or
passes on 0·NaN; of I₁ at 0 it takes 1 where the limit is ½. The formula is
evaluated elsewhere instead, and a Taylor polynomial of the first order stands
at the point, so that the second derivative is right as well.
"""

import tensorflow as tf

_special = tf.raw_ops


def _bessel_i1(x):
    return _special.BesselI0(x=x) - _special.BesselI1(x=x) / x


def _bessel_i1e(x):
    # Has a kink at zero, whose slope on one side and the other cancel.
    i1e = _special.BesselI1e(x=x)
    return _special.BesselI0e(x=x) - i1e * (tf.sign(x) + 1 / x)


def _bessel_j1(x):
    return _special.BesselJ0(x=x) - _special.BesselJ1(x=x) / x


def _spence(x):
    return tf.math.log(x) / (1 - x)


# The point, the derivative and the second derivative there, the formula.
_DERIVATIVES = {
    "BesselI1": (0.0, 0.5, 0.0, _bessel_i1),
    "BesselI1e": (0.0, 0.5, 0.0, _bessel_i1e),
    "BesselJ1": (0.0, 0.5, 0.0, _bessel_j1),
    "Spence": (1.0, -1.0, 0.5, _spence),
}
REMOVABLE = tuple(_DERIVATIVES)


def removable(operation, cotangent, registered):
    """Of a function in `REMOVABLE`."""
    del registered
    point, first, second, formula = _DERIVATIVES[operation.type]
    x = operation.inputs[0]
    is_point = tf.equal(x, point)
    # The formula must not see the point: NaN would pass beside the mask.
    elsewhere = tf.where(is_point, point + tf.ones_like(x), x)
    return cotangent * tf.where(
        is_point, first + second * (x - point), formula(elsewhere)
    )
