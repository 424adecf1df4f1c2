"""The logarithm of the logistic function."""

import keras
import tensorflow as tf

from keras_curvature.layers.elementwise import ElementwiseActivation
from keras_curvature.layers.sigmoid import sigmoid, sigmoid_first


@keras.saving.register_keras_serializable(package="keras_curvature")
class LogSigmoid(ElementwiseActivation):
    """Logarithm of the sigmoid, with exact derivatives.

    ```
    f(x)   = log σ(x) = −softplus(−x)
    f'(x)  = σ(−x)
    f''(x) = −σ'(x)
    ```

    The form −softplus(−x) stays finite where σ(x) has underflown to 0.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.LogSigmoid()
    float(layer.call(-1000.0)), float(layer.first_derivative(-1000.0))
    # (-1000.0, 1.0)
    ```
    """

    def _value(self, x):
        return -tf.nn.softplus(-x)

    def _first(self, x):
        return sigmoid(-x)

    def _second(self, x):
        return -sigmoid_first(x)
