"""The units in which the lengths of steps of least squares are measured."""

import tensorflow as tf

# A curve fit has at most so many weights. It may start far away, in another
# valley or orders of magnitude off; networks start near random minima.
FEW_WEIGHTS = 16
# Decay of the running maximum of column norms per step. 1 (Moré) measures steps
# by a start that may be of other orders of magnitude, which is to creep once
# norms fall; 0 lets the scale of a vanishing column collapse, and its weight
# evaporate. A factor of ten takes 22 steps, in networks, where columns come and
# go, 230.
_MEMORY_OF_FEW, _MEMORY = 0.9, 0.99
# How far a step may take one weight of a fit by itself, in terms of the largest
# value that it has had. A weight that makes no difference yet, beside residuals
# larger by orders of magnitude, has a short column and would be thrown to where
# it never makes one: a rate below 0, a pole among the data. Of 283 fits begun
# up to a factor of ten off, 33 ended above the best minimum known without a
# limit, and 11 with it; up to a factor of two off 9, and 4.
_REACH = 2.0
# The power of the column norms that is the scale of each weight.
POWERS = {"identity": 0.0, "root": 0.5, "marquardt": 1.0}


def recent_norms(before, column_norms):
    """max(0.9·before, ‖A_j‖), tensor of shape `(n,)`; 0.99 in networks."""
    is_small = before.shape[0] <= FEW_WEIGHTS
    memory = _MEMORY_OF_FEW if is_small else _MEMORY
    memory = tf.constant(memory, before.dtype)
    return tf.maximum(memory * before, tf.cast(column_norms, before.dtype))


def scaling_of(norms, kind):
    """The diagonal of D, tensor of shape `(n,)`.

    Args:
        norms: Recent norms of the columns, tensor of shape `(n,)`. Where one
            is 0 its scale is 1.
        kind: A key of `POWERS`.
    """
    ones = tf.ones_like(norms)
    return tf.where(norms > 0, norms, ones) ** tf.constant(
        POWERS[kind], norms.dtype
    )


def largest_values(before, weights):
    """The largest |w_j| of a run so far, tensor of shape `(n,)`."""
    return tf.maximum(before, tf.abs(weights))


def within_reach(scaling, radius, largest):
    """D with D_j ≥ Δ/(2·m_j): no step within Δ moves w_j by more than 2·m_j.

    A weight that has been 0 throughout has no size to go by: its D_j stays.

    Args:
        scaling: The diagonal of D, tensor of shape `(n,)`.
        radius: Scalar tensor, the trust radius Δ.
        largest: m, tensor of shape `(n,)`.
    """
    least = radius / (tf.constant(_REACH, scaling.dtype) * largest)
    is_known = least < scaling.dtype.max
    return tf.where(is_known, tf.maximum(scaling, least), scaling)
