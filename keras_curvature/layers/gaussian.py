"""The Gaussian bump exp(−x²)."""

import keras
import tensorflow as tf

from keras_curvature._derivatives import with_derivative
from keras_curvature.layers._formulas import times_square
from keras_curvature.layers.elementwise import ElementwiseActivation

# exp(−x²/4) has underflown in float64 beyond, and ∞ · 0 would be NaN.
FAR = 60.0


def exp_of_sum(big, small):
    """exp(big + small) without rounding the sum, for `small` of order 1.

    Not exp(big)·exp(small): XLA merges that into the exponential of the
    rounded sum.
    """
    leading = tf.exp(big)
    return leading + leading * (tf.exp(small) - 1.0)


def bell(x, rate):
    """exp(−rate·x²) to full precision for |x| <= FAR; `rate` a power of 2.

    Rounding x² alone would cost x²·2⁻⁵³ of relative accuracy. On a grid of 1/64
    the square h² is exact, and what remains, (x − h)(x + h), is small.
    """
    return with_derivative(
        lambda v: _compensated_bell(v, rate),
        lambda v: (-2.0 * rate) * v * bell(v, rate),
    )(x)


def _compensated_bell(x, rate):
    h = tf.round(64.0 * x) * 0.015625
    return exp_of_sum(-rate * (h * h), -rate * ((x - h) * (x + h)))


@keras.saving.register_keras_serializable(package="keras_curvature")
class Gaussian(ElementwiseActivation):
    """Gaussian bump with exact derivatives: exp(−x²), not exp(−x²/2).

    ```
    f(x)   = exp(−x²)
    f'(x)  = −2x exp(−x²)
    f''(x) = (4x² − 2) exp(−x²)
    ```

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.Gaussian()
    float(layer.call(0.0)), float(layer.second_derivative(0.0))  # (1.0, -2.0)
    ```
    """

    # The root exp(−x²/2), because exp(−x²) underflows before its products do.
    def _value(self, x):
        return tf.square(bell(tf.clip_by_value(x, -FAR, FAR), 0.5))

    def _first(self, x):
        x = tf.clip_by_value(x, -FAR, FAR)
        return times_square(-2.0 * x, bell(x, 0.5))

    def _second(self, x):
        x = tf.clip_by_value(x, -FAR, FAR)
        return times_square(4.0 * x * x - 2.0, bell(x, 0.5))
