"""The self-regularized unit x·tanh(softplus(x))."""

import math

import keras
import tensorflow as tf

from keras_curvature.layers._formulas import magnitude, times_square
from keras_curvature.layers.elementwise import ElementwiseActivation

_SHIFT = 8.0
_SCALE = math.exp(-_SHIFT)
# ω(x) = 1 to the last digit from here on; e⁴⁰ itself does not overflow.
_FLAT = 40.0
# Beyond this every tail is 0 in float64, and ∞ · 0 would be NaN.
_FAR = 1000.0


def _gate(x):
    """The parts of ω(x) = tanh(softplus(x)) = (e + 2) / (e + 2 + 2/e).

    With e = eˣ; everything is positive, so nothing cancels. Returns e, e⁻⁸/e
    and e⁻⁸·(e + 2 + 2/e). The factor e⁻⁸ keeps 1/e from overflowing where
    x·ω(x) is still a normal number.
    """
    inverse = tf.exp(-_SHIFT - tf.minimum(x, _FLAT))
    e = _SCALE / inverse
    return e, inverse, _SCALE * (e + 2.0) + 2.0 * inverse


@keras.saving.register_keras_serializable(package="keras_curvature")
class Mish(ElementwiseActivation):
    """Mish with exact derivatives.

    ```
    f(x)   = x ω(x),  ω(x) = tanh(softplus(x)) = e(e + 2) / d
    f'(x)  = ω + x ω',  ω' = 4e(1 + e) / d²
    f''(x) = 2ω' + x ω'',  ω'' = 4e(2 + 2e − 3e² − 2e³) / d³
    e = eˣ,  d = e² + 2e + 2
    ```

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.Mish()
    round(float(layer.first_derivative(0.0)), 6)  # 0.6
    ```

    References:

    - Misra, "Mish: a self regularized non-monotonic activation function",
      2020, arXiv:1908.08681
    """

    def _value(self, x):
        x = tf.maximum(x, -_FAR)
        e, _, bottom = _gate(x)
        # x · e⁻⁸ first would round the largest finite x up to infinity.
        return tf.where(x < _FLAT, (_SCALE * x) * (e + 2.0) / bottom, x)

    def _first(self, x):
        x = tf.clip_by_value(x, -_FAR, _FLAT)
        e, inverse, bottom = _gate(x)
        # f' = (e + 2 + 4x(1 + 1/e)/D)/D with D = e + 2 + 2/e, and
        # D/(1 + 1/e) = 2 + e/(1 + 1/e) stays finite where 1/e overflows.
        ratio = 2.0 + _SCALE * e / (_SCALE + inverse)
        return _SCALE * (e + 2.0 + 4.0 * x / ratio) / bottom

    def _second(self, x):
        # 4·k²·(2(1 + e)d + |x|·p) / d³ with e = exp(−|x|), where k² = e on
        # the negative side and e² on the positive one.
        a = tf.minimum(magnitude(x), _FAR)
        root = tf.exp(-0.5 * a)
        e = root * root
        left, k = x < 0, tf.where(x < 0, root, e)
        d = tf.where(left, 2.0 + e * (2.0 + e), 1.0 + e * (2.0 + 2.0 * e))
        p = tf.where(
            left,
            -2.0 + e * (-2.0 + e * (3.0 + 2.0 * e)),
            -2.0 + e * (-3.0 + e * (2.0 + 2.0 * e)),
        )
        bracket = 2.0 * (1.0 + e) * d + a * p
        return times_square(4.0 * bracket / (d * d * d), k)
