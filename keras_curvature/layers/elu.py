"""The exponential linear unit."""

from typing import Any

import keras
import tensorflow as tf

from keras_curvature._checks import checked_number
from keras_curvature.layers._formulas import expm1_below_0, times_exp_below_0
from keras_curvature.layers.elementwise import ElementwiseActivation


@keras.saving.register_keras_serializable(package="keras_curvature")
class ELU(ElementwiseActivation):
    """Exponential linear unit with exact derivatives.

    ```
    f(x)   = x for x > 0, else alpha (eˣ − 1)
    f'(x)  = 1 for x > 0, else alpha eˣ
    f''(x) = alpha eˣ for x < 0, else 0
    ```

    At x = 0 the derivatives are those of TensorFlow: f'(0) = alpha (a kink
    unless alpha = 1) and f''(0) = 0 (a jump for every alpha ≠ 0).

    Args:
        alpha: Finite float, the scale of the negative side. Defaults to
            `1.0`.
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Raises:
        ValueError: if `alpha` is not a finite real number.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.ELU(alpha=2.0)
    layer.first_derivative([0.0, 1.0]).numpy().tolist()  # [2.0, 1.0]
    ```

    References:

    - Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network
      learning by exponential linear units", 2016, arXiv:1511.07289
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = checked_number("alpha", alpha)

    def _value(self, x):
        # Not `tf.nn.elu`: its eˣ − 1 has no correct digit at x = −1e-8.
        return tf.where(x > 0, x, self.alpha * expm1_below_0(x))

    def _first(self, x):
        negative = times_exp_below_0(self.alpha, x)
        return tf.where(x > 0, tf.ones_like(x), negative)

    def _second(self, x):
        negative = times_exp_below_0(self.alpha, x)
        return tf.where(x < 0, negative, tf.zeros_like(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
