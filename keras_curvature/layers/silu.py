"""The sigmoid-weighted linear unit x·σ(x), also called swish."""

import keras
import tensorflow as tf

from keras_curvature.layers._formulas import magnitude
from keras_curvature.layers.elementwise import ElementwiseActivation
from keras_curvature.layers.sigmoid import sigmoid, times_sigmoid
from keras_curvature.layers.tanh import tanh

# Beyond this every tail is 0 in float64, and ∞ · 0 would be NaN.
_FAR = 1000.0


@keras.saving.register_keras_serializable(package="keras_curvature")
class SiLU(ElementwiseActivation):
    """Sigmoid linear unit (swish) with exact derivatives.

    ```
    f(x)   = x σ(x)
    f'(x)  = σ(x) (1 + x σ(−x))
    f''(x) = σ(x) σ(−x) (2 − x tanh(x/2))
    ```

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.SiLU()
    float(layer.first_derivative(0.0)), float(layer.second_derivative(0.0))
    # (0.5, 0.5)
    ```

    References:

    - Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural
      network function approximation in reinforcement learning", 2018,
      arXiv:1702.03118
    """

    def _value(self, x):
        x = tf.maximum(x, -_FAR)
        return times_sigmoid(x, x)

    def _first(self, x):
        x = tf.clip_by_value(x, -_FAR, _FAR)
        return times_sigmoid(1.0 + x * sigmoid(-x), x)

    def _second(self, x):
        # An even function: on the negative side nothing underflows early.
        x = -tf.minimum(magnitude(x), _FAR)
        factor = sigmoid(-x) * (2.0 - x * tanh(0.5 * x))
        return times_sigmoid(factor, x)
