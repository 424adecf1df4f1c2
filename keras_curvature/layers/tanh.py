"""The hyperbolic tangent."""

import keras
import tensorflow as tf

from keras_curvature._derivatives import with_derivative
from keras_curvature.layers._formulas import times_square
from keras_curvature.layers.elementwise import ElementwiseActivation


def tanh(x):
    """tanh(x), differentiable to every order without cancellation."""
    return with_derivative(tf.tanh, tanh_first)(x)


def sech(x):
    """sech(x) = 2 e^−|x| σ(2|x|), which is normal where its square is."""
    return with_derivative(
        lambda v: 2.0 * tf.exp(-tf.abs(v)) * tf.sigmoid(2.0 * tf.abs(v)),
        lambda v: -sech(v) * tanh(v),
    )(x)


def tanh_first(x):
    """sech²(x): 1 − tanh² would cancel for large |x|."""
    return with_derivative(lambda v: tf.square(sech(v)), tanh_second)(x)


def tanh_second(x):
    """tanh''(x) = −2 tanh(x) sech²(x)."""
    return times_square(-2.0 * tanh(x), sech(x))


@keras.saving.register_keras_serializable(package="keras_curvature")
class Tanh(ElementwiseActivation):
    """Hyperbolic tangent with exact derivatives.

    ```
    f(x)   = tanh(x)
    f'(x)  = sech²(x) = 4 σ(2x) σ(−2x)
    f''(x) = −2 tanh(x) sech²(x)
    ```

    The textbook form 1 − tanh²(x) keeps no digit for |x| > 9 in float32.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.Tanh()
    float(layer.first_derivative(0.0)), float(layer.second_derivative(0.0))
    # (1.0, -0.0)
    ```
    """

    def _value(self, x):
        return tf.tanh(x)

    def _first(self, x):
        return tanh_first(x)

    def _second(self, x):
        return tanh_second(x)
