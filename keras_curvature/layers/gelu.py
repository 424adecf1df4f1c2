"""The Gaussian error linear unit, in its exact and its tanh form.

Both forms are x·C(x) with a distribution C, C(−x) = 1 − C(x). The formulas
below know only the negative side, as functions of a = |x|, where nothing
cancels: the tail a·C(−a), the slope d(x·C)/dx at −a, and the curvature, which
is even. float32 and half precision are computed in float64, where plain
expressions suffice; float64 needs the compensated ones.
"""

import math

import keras
import tensorflow as tf

from keras_curvature.layers._base import (
    ElementwiseActivation,
    magnitude,
    times_square,
    with_derivative,
)
from keras_curvature.layers.gaussian import bell, exp_of_sum

_FAR = 40.0  # both tails are 0 in float64 beyond, and ∞ · 0 would be NaN
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)

# (a + 4)·M(a) for the Mills ratio M(a) = Φ(−a)/φ(a) on 0 <= a <= 40, as a
# polynomial in t = (a − 4)/(a + 4): the transformation of Shepherd and
# Laframboise (1981). Chebyshev interpolation at 300 bits; relative error of
# the truncation 8e-16. The accuracy tests hold it to mpmath.
_MILLS = (
    1.8932190633084849,
    -1.5237709108199717,
    0.9704095548677235,
    -0.46754096299942216,
    0.1513917623062988,
    -0.018900450832394187,
    -0.008722295163156528,
    0.004087855323717695,
    0.0003342435678955989,
    -0.0005792669382053742,
    -4.777407722442282e-06,
    8.80864540876486e-05,
    1.7757606856234847e-06,
    -1.4820930989478254e-05,
    -1.5316590452821904e-06,
    2.5357493193835145e-06,
    6.133928753936042e-07,
    -3.720454040331042e-07,
    -1.5329116229081246e-07,
    3.2379785109197877e-08,
    1.8919647438951575e-08,
)


def mills_ratio(a):
    """Φ(−a)/φ(a), the Gaussian tail over the density, for 0 <= a <= 40."""
    v = 1.0 / (a + 4.0)
    t = (a - 4.0) * v
    total = tf.fill(tf.shape(t), tf.constant(_MILLS[-1], t.dtype))
    for coefficient in reversed(_MILLS[:-1]):
        total = total * t + coefficient
    return total * v


class _ErfForm:
    """C = Φ, the normal distribution; φ(a) = bell(a, 1/4)²/√(2π)."""

    def tail(self, a):
        return times_square(_DENSITY * a * mills_ratio(a), bell(a, 0.25))

    def slope(self, a):
        return times_square(_DENSITY * (mills_ratio(a) - a), bell(a, 0.25))

    def curvature(self, a):
        return times_square(_DENSITY * (2.0 - a * a), bell(a, 0.25))


class _ErfFormForFloat32:
    """The same in plain float64: its rounding, a²·2⁻⁵³, is far away."""

    def tail(self, a):
        return 0.5 * a * tf.math.erfc(math.sqrt(0.5) * a)

    def slope(self, a):
        upper = 0.5 * tf.math.erfc(math.sqrt(0.5) * a)
        return upper - a * self._density(a)

    def curvature(self, a):
        return (2.0 - a * a) * self._density(a)

    def _density(self, a):
        return _DENSITY * tf.exp(-0.5 * a * a)


# C(x) = σ(w(x)), w(x) = 2√(2/π)·(x + 0.044715 x³) = _W1·x + _W3·x³.
# The second number of each pair is what float64 leaves out of the first.
_W1, _W1_REST = 1.5957691216057308, -9.96930880911092e-17
_W3, _W3_REST = 0.07135481627260025, -6.175149918155315e-19


def _leading_bits(value, bits):
    scale = 2.0 ** (bits - math.frexp(value)[1])
    return round(value * scale) / scale


class _TanhForm:
    """C = ½(1 + tanh(w/2)) = σ(w); r = exp(−w(a)/2), σ(−w) = r²/(1 + r²)."""

    def tail(self, a):
        r = self._root(a)
        return times_square(a / (1.0 + r * r), r)

    def slope(self, a):
        r = self._root(a)
        q = 1.0 / (1.0 + r * r)
        return times_square((1.0 - a * self._w_first(a) * q) * q, r)

    def curvature(self, a):
        r = self._root(a)
        q = 1.0 / (1.0 + r * r)
        w_first = self._w_first(a)
        half_tanh = (1.0 - r * r) * q
        bracket = 2.0 * w_first + a * (
            6.0 * _W3 * a - w_first * w_first * half_tanh
        )
        return times_square(bracket * q * q, r)

    def _w_first(self, a):
        return _W1 + 3.0 * _W3 * a * a

    def _root(self, a):
        return with_derivative(
            self._compensated_root,
            lambda v: -0.5 * self._w_first(v) * self._root(v),
        )(a)

    def _compensated_root(self, a):
        # On the grid of 1/64 h has 12 bits and h³ at most 36, so the products
        # with the leading bits of _W1 and _W3 are exact.
        h = tf.round(64.0 * a) * 0.015625
        cube = h * h * h
        top1, top3 = _leading_bits(_W1, 30), _leading_bits(_W3, 17)
        rest1 = ((_W1 - top1) + _W1_REST) * h + (a - h) * _W1
        rest3 = ((_W3 - top3) + _W3_REST) * cube
        rest3 += _W3 * ((a - h) * (a * a + a * h + h * h))
        return exp_of_sum(-0.5 * top1 * h, -0.5 * rest1) * exp_of_sum(
            -0.5 * top3 * cube, -0.5 * rest3
        )


class _TanhFormForFloat32(_TanhForm):
    """The same in plain float64: its rounding, w·2⁻⁵³, is far away."""

    def _root(self, a):
        return tf.exp((-0.5 * _W1) * a + (-0.5 * _W3) * (a * a * a))


@keras.saving.register_keras_serializable(package="keras_curvature")
class GELU(ElementwiseActivation):
    """Gaussian error linear unit with exact derivatives.

    ```
    approximate=False            approximate=True
    f(x)   = x Φ(x)              f(x) = x σ(w),  w = 2√(2/π)(x + 0.044715 x³)
    f'(x)  = Φ(x) + x φ(x)       f'(x)  = σ(w) + x w' σ'(w)
    f''(x) = (2 − x²) φ(x)       f''(x) = (2w' + x w'') σ'(w) + x w'² σ''(w)
    φ(x) = exp(−x²/2)/√(2π)
    ```

    σ(w) is Keras's ½(1 + tanh(w/2)).

    Args:
        approximate: Boolean, the tanh form instead of the exact one. Defaults
            to `False`.
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Raises:
        ValueError: If `approximate` is not a boolean.

    Example:

    >>> layer = keras_curvature.layers.GELU()
    >>> float(layer.first_derivative(0.0))
    0.5

    References:

    - Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016,
      arXiv:1606.08415
    - Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x)exp(x²)
      erfc x in 0 ≤ x < ∞", Mathematics of Computation 36, 1981
    """

    def __init__(self, approximate=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(approximate, bool):
            raise ValueError(
                "Argument `approximate` of GELU must be True or False. "
                f"Received: approximate={approximate!r}."
            )
        self.approximate = approximate

    def _value(self, x):
        form, v = self._form(x)
        tail = form.tail(tf.minimum(tf.abs(v), _FAR))
        return tf.maximum(x, 0.0) - tf.cast(tail, x.dtype)

    def _first(self, x):
        form, v = self._form(x)
        slope = form.slope(tf.minimum(tf.abs(v), _FAR))
        return tf.cast(tf.where(v < 0, slope, 1.0 - slope), x.dtype)

    def _second(self, x):
        form, v = self._form(x)
        curvature = form.curvature(tf.minimum(magnitude(v), _FAR))
        return tf.cast(curvature, x.dtype)

    def _form(self, x):
        if x.dtype == tf.float64:
            return (_TanhForm() if self.approximate else _ErfForm()), x
        form = _TanhFormForFloat32 if self.approximate else _ErfFormForFloat32
        return form(), tf.cast(x, tf.float64)

    def get_config(self):
        return {**super().get_config(), "approximate": self.approximate}
