"""The smooth ramp log(1 + eˣ)."""

import keras
import tensorflow as tf

from keras_curvature.layers.elementwise import ElementwiseActivation
from keras_curvature.layers.sigmoid import sigmoid, sigmoid_first


@keras.saving.register_keras_serializable(package="keras_curvature")
class Softplus(ElementwiseActivation):
    """Softplus with exact derivatives.

    ```
    f(x)   = log(1 + eˣ)
    f'(x)  = σ(x)
    f''(x) = σ'(x) = σ(x) σ(−x)
    ```

    TensorFlow's own second derivative in float32 is 0 for x > 16.7.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.Softplus()
    float(layer.first_derivative(0.0)), float(layer.second_derivative(0.0))
    # (0.5, 0.25)
    ```
    """

    def _value(self, x):
        return tf.nn.softplus(x)

    def _first(self, x):
        return sigmoid(x)

    def _second(self, x):
        return sigmoid_first(x)
