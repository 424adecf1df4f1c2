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
