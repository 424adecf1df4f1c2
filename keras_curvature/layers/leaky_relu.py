"""The rectified linear unit with a slope on the negative side."""

from typing import Any

import keras
import tensorflow as tf

from keras_curvature._checks import checked_number
from keras_curvature.layers._formulas import zero_everywhere
from keras_curvature.layers.elementwise import ElementwiseActivation


@keras.saving.register_keras_serializable(package="keras_curvature")
class LeakyReLU(ElementwiseActivation):
    """Leaky rectified linear unit.

    ```
    f(x)   = x for x > 0, else negative_slope · x
    f'(x)  = 1 for x > 0, else negative_slope
    f''(x) = 0
    ```

    At the kink x = 0 the first derivative is `negative_slope`, as TensorFlow
    has it; the point mass of the second derivative there is left out.

    Args:
        negative_slope: Finite float, the slope for x <= 0. Defaults to `0.3`,
            as in `keras.layers.LeakyReLU`.
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Raises:
        ValueError: if `negative_slope` is not a finite real number.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.LeakyReLU(negative_slope=0.5)
    layer.first_derivative([-1.0, 0.0, 1.0]).numpy().tolist()  # [0.5, 0.5, 1.0]
    ```
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = checked_number("negative_slope", negative_slope)

    def _value(self, x):
        if self.negative_slope == 0.0:
            return tf.nn.relu(x)  # 0 · (−∞) would be NaN
        # Not `tf.nn.leaky_relu`: it rounds the slope to float32 in float64.
        return tf.where(x > 0, x, self.negative_slope * x)

    def _first(self, x):
        slope = tf.constant(self.negative_slope, x.dtype)
        return tf.where(x > 0, tf.ones_like(x), slope)

    def _second(self, x):
        return zero_everywhere(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}
