"""Data in float64 that float32, the default of Keras, cannot hold."""

import warnings

import keras
import numpy as np
import tensorflow as tf

# Rounding beside the standard deviation of the values. A spread of a two
# thousandth of the values themselves is as much: the curve over it, in which a
# peak may have a hundredth of the width, is then another one.
_MOST_ROUNDING = 3e-5
_WAY_OUT = (
    'Call keras.config.set_floatx("float64") before the model is made, or '
)


def warn_of_lost_digits(x, y):
    """Warns where the cast of the data to Keras's float type changes a fit.

    Args:
        x: Inputs before they are cast: a structure of tensors.
        y: Targets, the same.
    """
    floatx = keras.config.floatx()
    for name, data in (("x", x), ("y", y)):
        for leaf in keras.tree.flatten(data):
            is_wide = isinstance(leaf, tf.Tensor) and leaf.dtype == tf.float64
            if is_wide and floatx != "float64" and tf.size(leaf) > 0:
                _warn_of(name, leaf.numpy(), floatx)


def _warn_of(name, array, floatx):
    if not np.isfinite(array).all():
        # Of these the solver speaks.
        return
    with np.errstate(over="ignore"):
        cast = array.astype(floatx)
    rounding = np.max(np.abs(cast.astype("float64") - array), axis=0)
    part = np.max(rounding / _spread(array))
    if part > _MOST_ROUNDING:
        warnings.warn(
            f"{floatx} is too coarse for `{name}`: it rounds the values by up "
            f"to {part:.0e} of their standard deviation. {_WAY_OUT}subtract "
            "an offset.",
            stacklevel=5,
        )
    info = np.finfo(floatx)
    largest = float(np.max(np.abs(array)))
    # Residuals of a thousandth of the values would have squares of 0.
    least = 1e3 * np.sqrt(float(info.tiny))
    most = np.sqrt(float(info.max))
    if name == "y" and (0 < largest < least or largest > most):
        warnings.warn(
            f"The squares of `y` are out of the range of {floatx}, whose "
            f"numbers end at {info.tiny:.0e} and {info.max:.0e}. Received: "
            f"values of up to {largest:.0e}. {_WAY_OUT}take another unit.",
            stacklevel=5,
        )


def _spread(array):
    """The standard deviation of each column, infinite of equal values."""
    is_constant = np.ptp(array, axis=0) == 0
    return np.where(is_constant, np.inf, np.std(array, axis=0))
