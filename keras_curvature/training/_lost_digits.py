"""Numbers that hardly differ any more in the float type of Keras."""

import warnings

import keras
import numpy as np
import tensorflow as tf

# The part of the spread of a column that rounding may take. Neighbors can be
# hard to tell apart then, as times in seconds since 1970 are.
_PART = 1e-3
# A column that spreads less than this, beside its size, is a constant.
_CONSTANT = 1e-12


def warn_of_lost_digits(name, data):
    """Warns where a column varies by little more than its rounding.

    Args:
        name: What the data are, for the warning.
        data: Structure of tensors, before they are rounded.
    """
    for leaf in keras.tree.flatten(data):
        if isinstance(leaf, tf.Tensor) and leaf.dtype == tf.float64:
            _warn(name, leaf.numpy(), keras.config.floatx())


def _warn(name, wide, floatx):
    rounded = tf.cast(tf.cast(wide, floatx), wide.dtype)
    # Of data that are not finite others tell.
    with np.errstate(invalid="ignore"):
        lost = np.ravel(np.max(np.abs(wide - rounded), axis=0))
        spread = np.ravel(np.ptp(wide, axis=0))
        size = np.ravel(np.max(np.abs(wide), axis=0))
        is_lost = (lost > _PART * spread) & (spread > _CONSTANT * size)
    if is_lost.any():
        worst = is_lost.argmax()
        warnings.warn(
            f"`{name}` loses digits in {floatx}: numbers that spread over "
            f"{spread[worst]:.3g} are rounded by up to {lost[worst]:.3g}. "
            "Subtract what they have in common, such as their mean, or call "
            'keras.config.set_floatx("float64") before the model is built.',
            stacklevel=5,
        )
