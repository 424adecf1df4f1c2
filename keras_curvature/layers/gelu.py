"""The Gaussian error linear unit, in its exact and its tanh form.

Both forms are x·C(x) with a distribution C, C(−x) = 1 − C(x). The formulas
below know only the negative side, as functions of a = |x|, where nothing
cancels: the tail a·C(−a), the slope d(x·C)/dx at −a, and the curvature, which
is even. The exponents are compensated, so each dtype needs no wider one.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._derivatives import with_derivative
from keras_curvature.layers._formulas import magnitude, times_square
from keras_curvature.layers.elementwise import ElementwiseActivation
from keras_curvature.layers.gaussian import bell, exp_of_sum

_FAR = 40.0  # both tails are 0 in float64 beyond, and ∞ · 0 would be NaN
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)

# (a + 4)·M(a) for the Mills ratio M(a) = Φ(−a)/φ(a), as a polynomial in
# t = (a − 4)/(a + 4): the transformation of Shepherd and Laframboise (1981).
# Chebyshev interpolation at 300 bits, until φ underflows: on 0 <= a <= 40 with
# relative error 8e-16, and on 0 <= a <= 15 with 1.3e-8. The accuracy tests
# hold both to mpmath.
_MILLS_FLOAT64 = (
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
_MILLS_FLOAT32 = (
    1.8932190838138112,
    -1.5237707909359477,
    0.9704077559311388,
    -0.4675445945966924,
    0.15141585257272935,
    -0.018863386479458042,
    -0.008825770034811607,
    0.003927589941593159,
    0.0004737440193856807,
    -0.0003147281994676371,
)


def _polynomial(coefficients, t):
    """Σ coefficients[k]·tᵏ by Horner's rule."""
    *lower, total = coefficients
    for coefficient in reversed(lower):
        total = total * t + coefficient
    return total


def mills_ratio(a):
    """Φ(−a)/φ(a), the Gaussian tail over the density, where φ(a) > 0."""
    wide = a.dtype == tf.float64
    coefficients = _MILLS_FLOAT64 if wide else _MILLS_FLOAT32
    shifted = a + 4.0
    return _polynomial(coefficients, (a - 4.0) / shifted) / shifted


class _ErfForm:
    """C = Φ, the normal distribution; φ(a) = bell(a, 1/4)²/√(2π)."""

    def tail(self, a):
        return times_square(_DENSITY * a * mills_ratio(a), bell(a, 0.25))

    def slope(self, a):
        return times_square(_DENSITY * (mills_ratio(a) - a), bell(a, 0.25))

    def curvature(self, a):
        return times_square(_DENSITY * (2.0 - a * a), bell(a, 0.25))


# C(x) = σ(w(x)), w(x) = 2√(2/π)·(x + 0.044715 x³) = _W1·x + _W3·x³. Each is
# split into leading bits, 10 and 12 of them, and the rest.
_W1_TOP, _W1_REST = 1.595703125, 6.599660573071176e-05
_W3_TOP, _W3_REST = 0.07135009765625, 4.718616350248776e-06
_W1, _W3 = _W1_TOP + _W1_REST, _W3_TOP + _W3_REST


# f''(−a) = σ'(w)·(2w' + a·w'' − a·w'²·tanh(w/2)) with tanh(w/2) = 1 − 2σ(−w).
# This is the polynomial 2w' + a·w'' − a·w'², in powers of a − 3/2: beside the
# zero of f'' at 1.4 powers of a would cancel.
_BRACKET = np.polynomial.Polynomial(
    [2 * _W1, -(_W1**2), 12 * _W3, -6 * _W1 * _W3, 0, -9 * _W3**2]
)(np.polynomial.Polynomial([1.5, 1])).coef.tolist()


class _TanhForm:
    """C = ½(1 + tanh(w/2)) = σ(w); r = exp(−w(a)/2), σ(−w) = r²/(1 + r²)."""

    def tail(self, a):
        r = self._root(a)
        return times_square(a / (1.0 + r * r), r)

    def slope(self, a):
        r = self._root(a)
        p = 1.0 + r * r
        return times_square((1.0 - a * self._w_first(a) / p) / p, r)

    def curvature(self, a):
        r = self._root(a)
        square = r * r
        p = 1.0 + square
        bracket = _polynomial(_BRACKET, a - 1.5)
        bracket += 2.0 * a * tf.square(self._w_first(a)) * square / p
        return times_square(bracket / (p * p), r)

    def _w_first(self, a):
        return _W1 + 3.0 * _W3 * a * a

    def _root(self, a):
        return with_derivative(
            self._compensated_root,
            lambda v: -0.5 * self._w_first(v) * self._root(v),
        )(a)

    def _compensated_root(self, a):
        # With h on a grid of 1/16 and c ≈ h³ on one of 1/4, h³, the products
        # with leading bits and their sum are exact, even in float32 up to
        # w = 87, where its numbers end.
        h = tf.round(16.0 * a) * 0.0625
        cube = h * h * h
        c = tf.round(4.0 * cube) * 0.25
        rest1 = _W1_REST * h + _W1 * (a - h)
        rest3 = (cube - c) + (a - h) * (a * a + a * h + h * h)
        rest3 = _W3_REST * c + _W3 * rest3
        return exp_of_sum(
            -0.5 * (_W1_TOP * h + _W3_TOP * c), -0.5 * (rest1 + rest3)
        )


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
        approximate: Bool, the tanh form instead of the exact one. Defaults
            to `False`.
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Raises:
        ValueError: if `approximate` is not a bool.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.GELU()
    float(layer.first_derivative(0.0))  # 0.5
    ```

    References:

    - Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016,
      arXiv:1606.08415
    - Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x)exp(x²)
      erfc x in 0 ≤ x < ∞", Mathematics of Computation 36, 1981
    """

    def __init__(self, approximate: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(approximate, bool):
            raise ValueError(
                "Argument `approximate` of GELU must be True or False. "
                f"Received: approximate={approximate!r}."
            )
        self.approximate = approximate
        self._form = _TanhForm() if approximate else _ErfForm()

    def _value(self, x):
        return tf.maximum(x, 0.0) - self._form.tail(tf.minimum(tf.abs(x), _FAR))

    def _first(self, x):
        slope = self._form.slope(tf.minimum(tf.abs(x), _FAR))
        return tf.where(x < 0, slope, 1.0 - slope)

    def _second(self, x):
        return self._form.curvature(tf.minimum(magnitude(x), _FAR))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "approximate": self.approximate}
