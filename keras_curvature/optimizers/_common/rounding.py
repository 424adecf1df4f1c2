"""Steps whose reduction of the loss drowns in its rounding error."""

from typing import NamedTuple

import tensorflow as tf

# The rounding error of a loss, in units of rounding of its size.
ROUNDING_UNITS = 10


class Reduction(NamedTuple):
    """What a step took from the loss, as far as rounding lets it be told.

    Attributes:
        value: Scalar tensor, L(w) − L(w + d).
        is_hidden: Whether the loss could not tell, so that it is told by the
            slopes.
        is_noise: Whether it is below a unit of rounding, where slopes may be
            noise as well.
    """

    value: tf.Tensor
    is_hidden: tf.Tensor
    is_noise: tf.Tensor


def reduction_of(actual, predicted, before, after, rounding):
    """The reduction of the loss by a step, by losses or by slopes.

    Where both the actual and the predicted reduction are below the rounding
    error of the loss,

        L(w) − L(w + d) = −½ (dᵀg + dᵀg₊)

    takes their place, which is exact for quadratic losses: gradients keep
    their digits where the difference of losses has none.

    Args:
        actual: Scalar tensor, the difference of the losses. May be NaN.
        predicted: Scalar tensor, what a model of the loss promised.
        before: Scalar tensor, dᵀg at w.
        after: Scalar tensor, dᵀg₊ at w + d.
        rounding: Scalar tensor, the rounding error of the loss.

    References:
        Hager, Zhang, 2005, "A new conjugate gradient method with guaranteed
        descent and an efficient line search", SIAM J. Optim. 16(1), section 4.
    """
    # False where one is NaN.
    is_hidden = (tf.abs(actual) <= rounding) & (tf.abs(predicted) <= rounding)
    is_noise = is_hidden & (predicted <= rounding / ROUNDING_UNITS)
    value = tf.where(is_hidden, -(before + after) / 2, actual)
    return Reduction(value, is_hidden, is_noise)
