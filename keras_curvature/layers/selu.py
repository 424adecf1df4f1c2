"""The self-normalizing exponential linear unit."""

import keras
import tensorflow as tf

from keras_curvature.layers._formulas import expm1_below_0, times_exp_below_0
from keras_curvature.layers.elementwise import ElementwiseActivation

# The fixed point (mean 0, variance 1) of Klambauer et al., equation 14.
_ALPHA = 1.6732632423543772848170429916717
_SCALE = 1.0507009873554804934193349852946


@keras.saving.register_keras_serializable(package="keras_curvature")
class SELU(ElementwiseActivation):
    """Scaled exponential linear unit with exact derivatives.

    ```
    f(x)   = scale · x for x > 0, else scale · alpha (eˣ − 1)
    f'(x)  = scale for x >= 0, else scale · alpha · eˣ
    f''(x) = scale · alpha · eˣ for x < 0, else 0
    alpha  = 1.6732632423543772, scale = 1.0507009873554805
    ```

    At the kink x = 0 the derivatives are those of TensorFlow: f'(0) = scale
    and f''(0) = 0.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.SELU()
    layer.second_derivative([0.0, 1.0]).numpy().tolist()  # [0.0, 0.0]
    ```

    References:

    - Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural
      networks", 2017, arXiv:1706.02515
    """

    def _value(self, x):
        # Not `tf.nn.selu`: its eˣ − 1 has no correct digit at x = −1e-8.
        negative = (_SCALE * _ALPHA) * expm1_below_0(x)
        return tf.where(x > 0, _SCALE * x, negative)

    def _first(self, x):
        return tf.where(x < 0, self._negative_side(x), _SCALE)

    def _second(self, x):
        return tf.where(x < 0, self._negative_side(x), tf.zeros_like(x))

    def _negative_side(self, x):
        return times_exp_below_0(_SCALE * _ALPHA, x)
