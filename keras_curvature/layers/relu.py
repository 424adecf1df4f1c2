"""The rectified linear unit."""

import keras
import tensorflow as tf

from keras_curvature._typing import Array
from keras_curvature.layers._formulas import zero_everywhere
from keras_curvature.layers.elementwise import ElementwiseActivation


@keras.saving.register_keras_serializable(package="keras_curvature")
class ReLU(ElementwiseActivation):
    """Rectified linear unit.

    ```
    f(x)   = max(x, 0)
    f'(x)  = 1 for x > 0, else 0
    f''(x) = 0
    ```

    At the kink x = 0 the first derivative is 0, as TensorFlow has it. The
    second derivative is 0 almost everywhere; the point mass at the kink is
    left out, as in every automatic differentiation.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.ReLU()
    layer.first_derivative([-1.0, 0.0, 1.0]).numpy().tolist()  # [0.0, 0.0, 1.0]
    ```
    """

    def call(self, x: Array) -> tf.Tensor:
        # TensorFlow's own gradients are exact to every order, and fused.
        return tf.nn.relu(self._floating(x))

    def _first(self, x):
        return tf.cast(x > 0, x.dtype)

    def _second(self, x):
        return zero_everywhere(x)
