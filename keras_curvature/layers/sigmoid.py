"""The logistic function σ(x) = 1 / (1 + e⁻ˣ)."""

import math

import keras
import tensorflow as tf

from keras_curvature._derivatives import with_derivative
from keras_curvature.layers.elementwise import ElementwiseActivation
from keras_curvature.layers.tanh import tanh

_SHIFT = 8.0
_SCALE = math.exp(-_SHIFT)


def sigmoid(x):
    """σ(x), differentiable to every order without cancellation."""
    return with_derivative(tf.sigmoid, sigmoid_first)(x)


def sigmoid_first(x):
    """σ'(x) = σ(x)·σ(−x): σ(1 − σ) would cancel for large x."""
    return sigmoid(x) * sigmoid(-x)


def sigmoid_second(x):
    """σ''(x) = −σ'(x)·tanh(x/2): 1 − 2σ(x) would cancel beside 0."""
    return -sigmoid_first(x) * tanh(0.5 * x)


@tf.custom_gradient
def times_sigmoid(factor, x):
    """factor·σ(x), normal wherever the product is, for x > −∞.

    σ(x) becomes subnormal (flushed to 0) before x·σ(x) does. Dividing by
    1/σ(x) = 1 + e⁻ˣ would overflow instead; with both sides multiplied by e⁻⁸
    neither happens: factor·e⁻⁸ / (e⁻⁸ + e⁻ˣ⁻⁸).
    """

    def gradient(dy):
        return (
            times_sigmoid(dy, x),
            times_sigmoid(dy * factor * sigmoid(-x), x),
        )

    return (factor * _SCALE) / (_SCALE + tf.exp(-_SHIFT - x)), gradient


@keras.saving.register_keras_serializable(package="keras_curvature")
class Sigmoid(ElementwiseActivation):
    """Logistic sigmoid with exact derivatives.

    ```
    f(x)   = σ(x) = 1 / (1 + e⁻ˣ)
    f'(x)  = σ(x) σ(−x)
    f''(x) = σ'(x) (1 − 2σ(x)) = −σ'(x) tanh(x/2)
    ```

    σ(−x) is not computed as 1 − σ(x), which is 0 for x > 17 in float32.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras
    import keras_curvature

    layer = keras_curvature.layers.Sigmoid()
    float(layer.first_derivative(0.0)), float(layer.second_derivative(0.0))
    # (0.25, -0.0)
    dense = keras.layers.Dense(8, activation=layer)
    ```
    """

    def _value(self, x):
        return sigmoid(x)

    def _first(self, x):
        return sigmoid_first(x)

    def _second(self, x):
        return sigmoid_second(x)
