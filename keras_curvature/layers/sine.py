"""The sine of SIREN networks, sin(frequency·x)."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_curvature._checks import checked_number
from keras_curvature._derivatives import with_derivative
from keras_curvature.layers.elementwise import ElementwiseActivation


def _split(value):
    """Two floats of at most 26 bits each whose sum is `value`."""
    mantissa, exponent = math.frexp(value)
    high = math.ldexp(round(mantissa * 2.0**26), exponent - 26)
    return high, value - high


def _phase(x, frequency):
    """frequency·x for float64 x as (rounded product, what it left out).

    The low 27 bits of x are cut off by a mask. The usual splitting by a large
    multiplication is undone when a compiler fuses multiply and add, as XLA
    does.
    """
    biggest = x.dtype.max
    product = tf.clip_by_value(frequency * x, -biggest, biggest)
    if abs(math.frexp(frequency)[0]) == 0.5:
        return product, None  # a power of two: the product is exact
    bits = tf.bitwise.bitwise_and(tf.bitcast(x, tf.int64), -(1 << 27))
    x_high = tf.bitcast(bits, x.dtype)
    x_low = x - x_high
    high, low = _split(frequency)
    left_out = ((x_high * high - product) + x_high * low) + x_low * high
    # Beyond 1e9 the correction is no small angle; a phase that large is known
    # to its rounding only.
    small = tf.abs(product) < 1e9
    return product, tf.where(small, left_out + x_low * low, 0.0)


def _wave64(x, frequency, wave, slope):
    product, left_out = _phase(x, frequency)
    plain = wave(product)
    if left_out is not None:
        plain = plain + left_out * slope(product)
    return tf.where(tf.math.is_inf(x), tf.constant(math.nan, x.dtype), plain)


def _wave32(x, frequency, wave):
    if abs(frequency) == 1.0:
        return wave(math.copysign(1.0, frequency) * x)
    # The product is reduced to one period in float64, the cheap part; sine
    # itself, the dear one, is taken in float32.
    turns = frequency / (2.0 * math.pi) * tf.cast(x, tf.float64)
    angle = (2.0 * math.pi) * (turns - tf.round(turns))
    return wave(tf.cast(angle, x.dtype))


def sine(x, frequency):
    """sin(frequency·x), differentiable to every order."""

    def value(v):
        if v.dtype == tf.float64:
            return _wave64(v, frequency, tf.sin, tf.cos)
        return _wave32(v, frequency, tf.sin)

    return with_derivative(value, lambda v: frequency * cosine(v, frequency))(x)


def cosine(x, frequency):
    """cos(frequency·x), differentiable to every order."""

    def value(v):
        if v.dtype == tf.float64:
            return _wave64(v, frequency, tf.cos, lambda p: -tf.sin(p))
        return _wave32(v, frequency, tf.cos)

    return with_derivative(value, lambda v: -frequency * sine(v, frequency))(x)


@keras.saving.register_keras_serializable(package="keras_curvature")
class Sine(ElementwiseActivation):
    """Sine with exact derivatives, the activation of SIREN.

    ```
    f(x)   = sin(ω x),  ω = frequency
    f'(x)  = ω cos(ω x)
    f''(x) = −ω² sin(ω x)
    ```

    The product ω·x is compensated: rounding it would shift the phase by
    ω·x·2⁻²⁴ in float32. Where |ω·x| exceeds 1e9 (and ω is no power of two)
    the phase is known to float64 rounding only. Sine has no limit at ±∞: the
    result is NaN there, as in IEEE 754.

    Args:
        frequency: Finite float ω > 0. Defaults to `1.0`; SIREN's first layer
            uses 30.
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Raises:
        ValueError: if `frequency` is not a finite positive number.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.Sine(frequency=30.0)
    float(layer.first_derivative(0.0)), float(layer.second_derivative(0.0))
    # (30.0, -0.0)
    ```

    References:

    - Sitzmann et al., "Implicit neural representations with periodic
      activation functions", 2020, arXiv:2006.09661
    """

    def __init__(self, frequency: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # −sin(ωx) is Sine(ω) negated before or after.
        self.frequency = checked_number("frequency", frequency, above=0)

    def _value(self, x):
        return sine(x, self.frequency)

    def _first(self, x):
        return self.frequency * cosine(x, self.frequency)

    def _second(self, x):
        return -(self.frequency**2) * sine(x, self.frequency)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frequency": self.frequency}
