"""The rational sigmoid x / (1 + |x|)."""

import keras
import tensorflow as tf

from keras_curvature.layers.elementwise import ElementwiseActivation


@keras.saving.register_keras_serializable(package="keras_curvature")
class Softsign(ElementwiseActivation):
    """Softsign with exact derivatives.

    ```
    f(x)   = x / (1 + |x|)
    f'(x)  = 1 / (1 + |x|)²
    f''(x) = −2 sign(x) / (1 + |x|)³
    ```

    f'' jumps from 2 to −2 at x = 0; its value there is 0, the mean.
    TensorFlow itself cannot differentiate softsign twice.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.Softsign()
    layer.second_derivative([-1.0, 0.0, 1.0]).numpy().tolist()
    # [0.25, -0.0, -0.25]
    ```
    """

    def _value(self, x):
        # ∞ / (1 + ∞) is NaN, and nothing is left of the 1 beyond 1e30.
        bounded = tf.clip_by_value(x, -1e30, 1e30)
        return bounded / (1.0 + tf.abs(bounded))

    def _first(self, x):
        return tf.square(1.0 / (1.0 + tf.abs(x)))

    def _second(self, x):
        q = 1.0 / (1.0 + tf.abs(x))
        return -2.0 * tf.sign(x) * q * q * q
