"""The Cauchy loss."""

import keras
import tensorflow as tf

from keras_curvature.losses.robust_loss import RobustLoss, split


@keras.saving.register_keras_serializable(package="keras_curvature")
class Cauchy(RobustLoss):
    """Cauchy loss: the logarithm of 1 + squares.

        ρ(e) = C²/2·log(1 + (e/C)²),  ρ″ = (1 − (e/C)²) / (1 + (e/C)²)²

    `loss="cauchy"` with `f_scale=C` in SciPy's `least_squares`, whose cost is
    the sum of ρ; also known as the Lorentzian loss. Outliers hardly pull, and
    there may be several minima: start near the right one, for example from a
    fit with `SoftL1`. The Gauss–Newton form takes ρ′(e)/e = 1 / (1 + (e/C)²)
    for ρ″, where SciPy takes ρ″ and a tiny number where it is negative.

    Args:
        scale: Float > 0, C in units of the outputs, the error from which on
            an output counts as an outlier. Defaults to `1.0`.
        reduction: As for `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: String. Defaults to `"cauchy"`.
        dtype: As for `keras.losses.Loss`. Defaults to `None`.

    Raises:
        ValueError: if `scale` is not a finite number above 0.

    Example:

    ```python
    import keras_curvature

    loss = keras_curvature.losses.Cauchy(scale=2.0)
    float(loss([[0.0]], [[2.0]]))  # 2·log 2 = 1.386
    ```

    References:
        Triggs et al., 2000, "Bundle adjustment: a modern synthesis",
        appendix 4.3 (second-order weights, as SciPy has them).
    """

    def _value(self, u):
        m, s = split(u)
        return tf.math.log(m) + tf.math.log1p(s * s) / 2

    def _first(self, u):
        _, s = split(u)
        return s / (1 + s * s)

    def _second(self, u):
        m, s = split(u)
        # (1 − u²)/m², factored so that nothing cancels at |u| = 1.
        numerator = (1 - u) / m * ((1 + u) / m)
        return numerator / m / m / (1 + s * s) ** 2

    def _weight(self, u):
        m, s = split(u)
        return 1 / m / m / (1 + s * s)
